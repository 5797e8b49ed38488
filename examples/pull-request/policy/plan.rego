# For `conftest test plan.json`, or OPA: the rules of an organisation over the JSON of a plan.
package main

import rego.v1

deny contains message if {
	some change in input.resource_changes
	change.type == "aws_s3_bucket"
	"create" in change.change.actions
	not change.change.after.versioning
	message := sprintf("%s keeps no versions", [change.address])
}

deny contains message if {
	some change in input.resource_changes
	"delete" in change.change.actions
	change.mlinfra.risk.level == "destroys_data"
	message := sprintf("%s: %s", [change.mlinfra.address, change.mlinfra.risk.sentence])
}

warn contains message if {
	some change in input.resource_changes
	price := change.mlinfra.cost.after.monthly
	is_number(price)
	price > 300
	message := sprintf("%s costs %v USD a month", [change.mlinfra.address, price])
}
