# For `terraform-compliance -p plan.json -f policy/`.
Feature: Buckets are kept well

  Scenario: What we keep has its team
    Given I have aws_s3_bucket defined
    When its name is raw
    Then it must contain tags
    And it must contain team

  Scenario: What we keep is versioned
    Given I have aws_s3_bucket defined
    When its name is raw
    Then it must have versioning
    And it must have enabled
    And its value must be true

  Scenario: Public access is blocked
    Given I have aws_s3_bucket_public_access_block defined
    Then it must have block_public_acls
    And its value must be true
