"""Both custom resource definitions and their admission policies, as Python source.

`hack/generate.py` writes them out as YAML; the operator itself reads the same schema to complete
and check a study that has not been through an API server (`check.py`).
"""
