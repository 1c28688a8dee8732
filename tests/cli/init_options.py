"""Options of `hyperband init` with a parameter of each kind."""

PARAMETERS = (
    "learning_rate=float(1e-5, 0.1, log)",
    "layers=int(1,4)",
    "dropout=float(0, 0.5, step=0.1)",
    'activation=choice(relu, "no", "n", 1:30)',
    "batch=ordinal(16, 32, 64)",
    "momentum=normal(0.9, 0.05)",
    "decay=lognormal(-9, 2)",
    "amp=constant(yes)",
)
OPTIONS = (
    *("--image", "registry.example.com/train:1"),
    *("--command", "python3 train.py --note 'a: b # c' --rate=$(HYPERBAND_PARAM_LEARNING_RATE)"),
    *("--metric", "val loss"),
    *("--goal", "Minimize"),
    *("--max", "27"),
    *(word for each in PARAMETERS for word in ("--parameter", each)),
)
