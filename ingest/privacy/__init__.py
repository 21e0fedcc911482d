"""What may be kept of a person: the visitor's signals and the policy, stripping, sealing, forgetting."""
