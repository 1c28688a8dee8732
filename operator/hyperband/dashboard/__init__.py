"""The page: studies as they go, over HTTP, from a cluster or from a run on this machine.

It reads and never writes. Views are pure: records in, plain data out. Around them stand a source
of records (`cluster`, `folder`), what keeps them at hand (`feeds`), who may see what (`access`),
and the server.
"""
