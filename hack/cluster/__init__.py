"""A local Kubernetes cluster for tests and demos: kind, made from whatever this machine has.

Standard library only, so that it runs before anything is installed:
``python -m hack.cluster up`` from the repository root.
"""
