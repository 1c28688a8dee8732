"""The custom resources and the contract with training containers, and the core's records."""
