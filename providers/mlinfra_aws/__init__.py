"""The AWS target: CloudFormation's property names in, botocore's operations out."""
