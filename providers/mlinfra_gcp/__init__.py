"""Google Cloud: Compute Engine, Cloud Storage, Vertex AI and what belongs to them, by their REST APIs."""
