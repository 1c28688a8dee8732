"""The schema of how a study's pods ask for nodes."""

from typing import Final

from hyperband.api.schema.build import boolean, integer, record

DEFAULT_INITIAL_PODS: Final = 8

SCHEDULING: Final = record(
    "How the study's pods ask for nodes, on a cluster that grows and shrinks above all. May be "
    "changed at any time; pods that are there stay as they are.",
    {
        "initialPods": integer(
            "How many pods may wait for a node at once. Once more than that have a node, as many "
            "may wait as have one, so that the study doubles as long as the cluster follows. Pods "
            "with a scheduling gate, or with the label of a Kueue queue, are not counted: "
            "parallelism alone bounds them.",
            default=DEFAULT_INITIAL_PODS,
            minimum=1,
            maximum=10_000,
        ),
        "pack": boolean(
            "True (default): pods that hold GPUs prefer nodes on which trials of the namespace "
            "run already, so that other nodes empty and can go. It is a preference with the "
            "weight 1: those of the template weigh more. False: none is added.",
            default=True,
        ),
    },
    default={"initialPods": DEFAULT_INITIAL_PODS, "pack": True},
)
