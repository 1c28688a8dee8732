"""The chart's values: the one source of its values.yaml, with comments, and values.schema.json.

The schema is strict: a name that is not here is refused by `helm install`, as a typing error in a
value that nobody reads is found only when it is missed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Schema = Mapping[str, Any]

STRING: Final[Schema] = {"type": "string"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
STRINGS: Final[Schema] = {"type": "object", "additionalProperties": STRING}
# Beside those of the chart itself, by which it finds its pods: a second value of one is no YAML.
LABELS: Final[Schema] = {
    **STRINGS,
    "propertyNames": {
        "not": {
            "pattern": r"^(app\.kubernetes\.io/(name|instance|version|managed-by)|helm\.sh/chart)$"
        }
    },
}
ANY_OBJECT: Final[Schema] = {"type": "object"}  # a part of a pod: the API server knows its fields
ANY_OBJECTS: Final[Schema] = {"type": "array", "items": ANY_OBJECT}
NAMESPACE: Final[Schema] = {
    "type": "string",
    "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
    "maxLength": 63,
}
NAMESPACES: Final[Schema] = {"type": "array", "items": NAMESPACE, "uniqueItems": True}
COUNT_OR_PERCENT: Final[Schema] = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+%$"}]
}


def integer(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


PORT: Final = integer(1024, 65535)


def one_of(*choices: str) -> Schema:
    return {"type": "string", "enum": list(choices)}


@dataclass(frozen=True)
class Value:
    """What may be set, what it is otherwise, and what it does."""

    text: str
    default: Any
    schema: Schema


@dataclass(frozen=True)
class Group:
    """Values of one subject."""

    text: str
    members: Mapping[str, "Value | Group"]


_PROBE: Final[Schema] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        name: {"type": "integer", "minimum": 0}
        for name in (
            "initialDelaySeconds",
            "periodSeconds",
            "timeoutSeconds",
            "failureThreshold",
            "successThreshold",
        )
    },
}


def _image(repository: str) -> "dict[str, Value | Group]":
    return {
        "repository": Value("Registry and name.", repository, {"type": "string", "minLength": 1}),
        "tag": Value("Else the chart's appVersion.", "", STRING),
        "digest": Value(
            "sha256:…, in place of a tag that may be moved.",
            "",
            {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
        ),
    }


VALUES: Final[dict[str, Value | Group]] = {
    "namespaces": Value(
        "The namespaces whose studies are worked on; none for those of the whole cluster. With a "
        "list the operator has Roles in these namespaces and no rights elsewhere.",
        [],
        NAMESPACES,
    ),
    "replicas": Value(
        "Of several pods one works and the others wait for its Lease; with a list of namespaces "
        "each works in its share of them. One is enough, as a study goes on where it was when the "
        "next pod runs.",
        1,
        integer(0, 9),
    ),
    "fullnameOverride": Value(
        "Name of the operator's objects, in place of one made of the release's.",
        "",
        {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", "maxLength": 52},
    ),
    "image": Group(
        "The operator's image.",
        {
            **_image("hyperband.dev/hyperband-operator"),
            "pullPolicy": Value(
                "When the node asks the registry for it.",
                "IfNotPresent",
                one_of("Always", "IfNotPresent", "Never"),
            ),
        },
    ),
    "imagePullSecrets": Value("Secrets that let pull it, as `- name: …`.", [], ANY_OBJECTS),
    "leaseNamespace": Value(
        "Where operators for all namespaces have the Lease by which one of them works, and where "
        "those for a list of namespaces look whether there is one; else the installation's own. A "
        "second installation names that of the first one.",
        "",
        {**NAMESPACE, "pattern": "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"},
    ),
    "leaseSeconds": Value(
        "So long after a sudden end of the operator's pod the next one may take over.",
        15,
        integer(3, 600),
    ),
    "logFormat": Value(
        "Lines of JSON for a collector of logs, or text for people.", "json", one_of("json", "text")
    ),
    "verbose": Value("Log each request to the API server too.", False, BOOLEAN),
    "extraArgs": Value(
        "More arguments of `hyperband operator`.", [], {"type": "array", "items": STRING}
    ),
    "extraEnv": Value(
        "More environment variables of the operator and of the page, such as a proxy's, as "
        "`- name: … value: …`.",
        [],
        ANY_OBJECTS,
    ),
    "crds": Group(
        "The definitions of HyperbandStudy, HyperbandTrial and HyperbandArchive. An upgrade of the "
        "chart upgrades them.",
        {
            "install": Value("Turn off where something else installs them.", True, BOOLEAN),
            "keep": Value(
                "They, and with them all studies, outlive `helm uninstall`.", True, BOOLEAN
            ),
        },
    ),
    "policies": Group(
        "Admission policies: what a study may be and who may create it, and that a trial's token "
        "can write nothing but its own pod's metrics. Of the whole cluster: one installation has "
        "them.",
        {"install": Value("Turn off where another installation has them.", True, BOOLEAN)},
    ),
    "clusterRoles": Group(
        "Roles for people (hyperband-edit, hyperband-view: parts of edit and view) and for trials "
        "(hyperband-reporter). Of the whole cluster: one installation has them.",
        {"install": Value("Turn off where another installation has them.", True, BOOLEAN)},
    ),
    "rbac": Group(
        "The operator's own rights.",
        {"create": Value("Turn off where somebody else grants them.", True, BOOLEAN)},
    ),
    "serviceAccount": Group(
        "The account that the operator runs as.",
        {
            "create": Value("Turn off where it is there.", True, BOOLEAN),
            "name": Value("Else that of the operator's objects.", "", STRING),
            "annotations": Value("Such as those of a cloud's identities.", {}, STRINGS),
        },
    ),
    "reporter": Group(
        "The account that reports a trial's metrics.",
        {
            "namespaces": Value(
                "Where to make it and allow it to report; elsewhere "
                "`kubectl apply -n TEAM -f manifests/namespace/reporter.yaml` does.",
                [],
                NAMESPACES,
            )
        },
    ),
    "sidecar": Group(
        "What reports for trainings that only write a file (`reporting: {mode: Sidecar}`). The "
        "trials' pods pull its image, with the secrets that their templates name.",
        {
            "image": Group(
                "`make image TARGET=sidecar` builds it.",
                _image("hyperband.dev/hyperband-sidecar"),
            )
        },
    ),
    "resources": Value(
        "Of the operator's container, which takes about 105 MiB without studies.",
        {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        ANY_OBJECT,
    ),
    "podSecurityContext": Value(
        "Fit for the restricted pod security standard.",
        {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        ANY_OBJECT,
    ),
    "securityContext": Value(
        "Of the container.",
        {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        ANY_OBJECT,
    ),
    "port": Value("Of probes and metrics.", 8080, PORT),
    "livenessProbe": Value(
        "/healthz: the event loop answers.",
        {"periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        _PROBE,
    ),
    "readinessProbe": Value(
        "/readyz: everything is read and this pod leads. Of several pods all are ready, or with a "
        "list of namespaces those that lead in some of them or have nothing to take.",
        {"periodSeconds": 5, "timeoutSeconds": 5, "failureThreshold": 3},
        _PROBE,
    ),
    "strategy": Value(
        "How pods are replaced. Else by Recreate, where there is one replica: a new pod is ready "
        "only when the old one has given its Lease back. With several, one after the other.",
        {},
        ANY_OBJECT,
    ),
    "terminationGracePeriodSeconds": Value(
        "It gives its Leases back and ends within a few seconds.", 30, integer(5, 600)
    ),
    "podDisruptionBudget": Group(
        "Of use with several replicas: a drain takes them one after the other.",
        {
            "enabled": Value("Whether there is one.", False, BOOLEAN),
            "maxUnavailable": Value("A count, or a share in percent.", 1, COUNT_OR_PERCENT),
        },
    ),
    "networkPolicy": Group(
        "Lets the operator reach DNS and the API server and lets nobody in but to its metrics. "
        "Probes come from the node, which no policy keeps away.",
        {
            "enabled": Value("Whether there is one.", False, BOOLEAN),
            "apiServerPorts": Value(
                "The ports of the API server's own addresses.",
                [443, 6443],
                {"type": "array", "items": integer(1, 65535), "minItems": 1},
            ),
            "metricsFrom": Value(
                "Who may read the metrics, as peers of a NetworkPolicy; none for everybody.",
                [],
                ANY_OBJECTS,
            ),
        },
    ),
    "priorityClassName": Value("Of the operator's pod.", "", STRING),
    "nodeSelector": Value("Of the operator's pod.", {}, STRINGS),
    "tolerations": Value("Of the operator's pod.", [], ANY_OBJECTS),
    "affinity": Value("Of the operator's pod.", {}, ANY_OBJECT),
    "topologySpreadConstraints": Value("Of the operator's pod.", [], ANY_OBJECTS),
    "metrics": Group(
        "Prometheus metrics, at /metrics.",
        {"service": Value("A Service for whatever scrapes them.", True, BOOLEAN)},
    ),
    "serviceMonitor": Group(
        "For the Prometheus operator; needs metrics.service.",
        {
            "enabled": Value("Whether there is one.", False, BOOLEAN),
            "interval": Value(
                "Between two scrapes.", "30s", {"type": "string", "pattern": "^[0-9]+(s|m)$"}
            ),
            "labels": Value("By which a Prometheus finds it.", {}, LABELS),
        },
    ),
    "prometheusRule": Group(
        "Alerts, for the Prometheus operator.",
        {
            "enabled": Value("Whether there is one.", False, BOOLEAN),
            "labels": Value("By which a Prometheus finds it.", {}, LABELS),
        },
    ),
    "grafanaDashboard": Group(
        "A ConfigMap with the dashboard, for Grafana's sidecar.",
        {
            "enabled": Value("Whether there is one.", False, BOOLEAN),
            "labels": Value("By which the sidecar finds it.", {"grafana_dashboard": "1"}, LABELS),
        },
    ),
    "dashboard": Group(
        "The page that shows studies in a browser. It reads; viewers bring a token, and see what "
        "the cluster lets them. Its pod takes the operator's image, security contexts, "
        "nodeSelector and tolerations.",
        {
            "enabled": Value("Whether there is one.", False, BOOLEAN),
            "port": Value("Of its pod; its Service has 80, or 443 with TLS.", 8080, PORT),
            "tlsSecret": Value(
                "A Secret with tls.crt and tls.key, for HTTPS. Without one, reach it by kubectl "
                "port-forward, or through an ingress or a mesh that encrypts: tokens are secrets.",
                "",
                STRING,
            ),
            "from": Value(
                "Who may reach it where networkPolicy.enabled, as peers of a NetworkPolicy; none "
                "for everybody.",
                [],
                ANY_OBJECTS,
            ),
            "resources": Value(
                "Of its container, which takes about 50 kB for each trial that is looked at.",
                {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
                ANY_OBJECT,
            ),
            "podLabels": Value("On its pod.", {}, LABELS),
            "podAnnotations": Value("On its pod.", {}, STRINGS),
        },
    ),
    "commonLabels": Value("On every object, and on the operator's pods.", {}, LABELS),
    "commonAnnotations": Value("On every object.", {}, STRINGS),
    "podLabels": Value("On the operator's pods.", {}, LABELS),
    "podAnnotations": Value("On the operator's pods.", {}, STRINGS),
}


def schema() -> dict[str, Any]:
    """Of values.schema.json."""
    root = _group_schema(Group("Values of the chart hyperband-operator.", VALUES))
    # Helm hands it to every chart that is part of another.
    root["properties"]["global"] = {"type": "object"}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **root}


def _group_schema(group: Group) -> dict[str, Any]:
    properties = {
        name: _group_schema(member)
        if isinstance(member, Group)
        else {"description": member.text, **member.schema}
        for name, member in group.members.items()
    }
    return {
        "type": "object",
        "description": group.text,
        "additionalProperties": False,
        "properties": properties,
    }
