# A user pool that stays in Terraform, and one client that a stack of cognito-m2m takes over. docs/from-terraform.md
# explains each step.

terraform {
  required_version = ">= 1.7" # for the removed block below
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region = "us-east-1"
}

resource "aws_cognito_user_pool" "m2m" {
  name                = "m2m"
  deletion_protection = "ACTIVE" # a deleted pool takes the stacks' clients along, and Terraform does not know them

  admin_create_user_config {
    allow_admin_create_user_only = true
  }

  tags = {
    # The consent: stacks whose names begin with one of these words may add clients and resource servers to the pool.
    # It must be here and not only in AWS: Terraform removes a tag that its configuration does not have.
    "cognito-m2m:shared-with" = "reporting billing-"
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_cognito_user_pool_domain" "m2m" {
  domain       = "acme-m2m"
  user_pool_id = aws_cognito_user_pool.m2m.id
}

# Resource servers stay in Terraform. Terraform removes a scope without asking which clients hold it:
# `m2mctl access --user-pool-id ID` shows them.
resource "aws_cognito_resource_server" "orders" {
  user_pool_id = aws_cognito_user_pool.m2m.id
  identifier   = "orders"
  name         = "Orders API"

  scope {
    scope_name        = "read"
    scope_description = "See orders"
  }
}

# Before the adoption: the client as it is today.
resource "aws_cognito_user_pool_client" "reporting" {
  user_pool_id                         = aws_cognito_user_pool.m2m.id
  name                                 = "reporting"
  generate_secret                      = true
  allowed_oauth_flows_user_pool_client = true
  allowed_oauth_flows                  = ["client_credentials"]
  allowed_oauth_scopes                 = ["orders/read"]

  depends_on = [aws_cognito_resource_server.orders]
}

# For the adoption: replace the block above with this one and apply. Terraform then forgets the client and leaves it
# alone. Without this, Terraform would rename the client back, or delete it.
#
# removed {
#   from = aws_cognito_user_pool_client.reporting
#
#   lifecycle {
#     destroy = false
#   }
# }

output "user_pool_id" {
  value = aws_cognito_user_pool.m2m.id
}

# After the adoption: remove this output. The stack's output ClientId has the same value.
output "reporting_client_id" {
  value = aws_cognito_user_pool_client.reporting.id
}
