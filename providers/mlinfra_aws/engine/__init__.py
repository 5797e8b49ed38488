"""The table engine: a native type is a table of operation names; what it may hold comes from CloudFormation's schema."""
