"""What administrators and on-call engineers see of the operator: probes, metrics and logs."""
