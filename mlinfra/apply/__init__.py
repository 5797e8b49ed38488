"""Runs the steps of a plan as soon as their needs are done, and records every one durably. Re-decides nothing."""
