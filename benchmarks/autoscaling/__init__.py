"""What a study costs on GPU nodes that an autoscaler brings and takes away."""
