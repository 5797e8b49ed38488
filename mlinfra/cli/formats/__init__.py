"""Readers of one Plan for other people's tools and pages: Terraform's plan JSON, Markdown, HTML.

None of them decides anything: what is not in the Plan is in none of them, and no secret is in any."""
