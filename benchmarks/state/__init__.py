"""What a study of many trials leaves in etcd, and how soon an operator has read it back."""
