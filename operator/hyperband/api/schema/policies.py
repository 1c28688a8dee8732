"""Admission policies for what the rules of a definition cannot see.

Open values (`values`, `value`, `when`, the pod template, the checkpoint's volume) are hidden from
those rules, but not from a ValidatingAdmissionPolicy; it can ask the authorizer, too.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hyperband.api import names
from hyperband.api.schema.build import cel_text
from hyperband.api.schema.definitions import Manifest
from hyperband.api.schema.parameters import LARGEST_INTEGER

OPERATOR_NAMESPACE: Final = "hyperband-system"


def make_check(expression: str, message: str, *values: str, plain: str = "") -> Manifest:
    """One validation; `message` has one %s for each of `values`.

    `plain` is what is said where that becomes longer than the server allows (5 KiB); default: the
    message with dots for the values.
    """
    if not values:
        return {"expression": expression, "message": message.replace("%%", "%")}
    return {
        "expression": expression,
        "message": plain or message.replace("%s", "…"),
        "messageExpression": f"{cel_text(message)}.format([{', '.join(values)}])",
    }


def _none(variable: str, message: str, *values: str, plain: str = "") -> Manifest:
    """A validation that a variable, the list of offenders, is empty."""
    return make_check(f"variables.{variable}.size() == 0", message, *values, plain=plain)


def make_policy(
    name: str,
    resources: Sequence[Mapping[str, Any]],
    conditions: Mapping[str, str],
    variables: Mapping[str, str],
    checks: Sequence[Manifest],
) -> list[Manifest]:
    """A policy and the binding that puts it into force everywhere."""
    spec: Manifest = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": list(resources)},
        "matchConditions": [{"name": k, "expression": v} for k, v in conditions.items()],
    }
    if variables:
        spec["variables"] = [{"name": k, "expression": v} for k, v in variables.items()]
    spec["validations"] = list(checks)
    return [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": spec,
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    ]


def _own_resource(plural: str) -> Manifest:
    return {
        "apiGroups": [names.GROUP],
        "apiVersions": [names.VERSION],
        "operations": ["CREATE", "UPDATE"],
        "resources": [plural],
    }


# -- studies -----------------------------------------------------------------------------------

_PLAIN: Final = "(type(v) == string || type(v) == bool || type(v) == int || type(v) == double)"
_NUMBER: Final = "(type(v) == int || type(v) == double)"


def _inside(p: str) -> str:
    """Whether v lies within the bounds of the number p, each of which may be left out, in CEL."""
    above = f"(!has({p}.min) || double(v) >= double({p}.min))"
    below = f"(!has({p}.max) || double(v) <= double({p}.max))"
    return f"({above} && {below})"


# Whether the number v has no fraction; out of these bounds int() is an error.
_WHOLE: Final = (
    f"(type(v) == int || (v >= -{LARGEST_INTEGER}.0 && v <= {LARGEST_INTEGER}.0 && "
    "double(int(v)) == v))"
)
MAX_CHECKED: Final = 2_000  # points of initialParameters times parameters
# Whether parameter p cannot be v, and why; the wording is that of hyperband.core.axes.
_IMPOSSIBLE: Final = (
    "(has(p.values) && !(v in p.values)) || (has(p.value) && v != p.value) || "
    f"(p.type in ['Float', 'Integer'] && !({_NUMBER} && {_inside('p')} && "
    f"(p.type == 'Float' || {_WHOLE})))"
)
_SHOWN: Final = """(type(v) == string ? '"%s"' : '%s').format([v])"""
_PROBLEM: Final = (
    # Long lists would make the message longer than the server allows.
    "has(p.values) && p.values.size() > 20 ? "
    "'is not among its %s values: use one of them (quotes make a string)'"
    ".format([p.values.size()]) : "
    "has(p.values) || has(p.value) ? "
    "'is not among its values: use one of %s (quotes make a string)'.format("
    f"[(has(p.values) ? p.values : [p.value]).map(v, {_SHOWN}).join(', ')]) : "
    f"!{_NUMBER} ? 'is not a number: give one' : "
    f"{_inside('p')} ? 'is not a whole number: round it' : "
    "'is outside %s … %s: stay inside'.format([p.?min.orValue('-∞'), p.?max.orValue('∞')])"
)
_SUFFIX: Final = "p.name.upperAscii().replace('.', '_').replace('-', '_').replace('/', '_')"

_STUDY_VARIABLES: Final = {
    "parameters": "object.spec.parameters",
    "pod": "object.spec.trialTemplate.spec",
    # Fields may be null in an open tree.
    "containers": "variables.pod.containers + (type(variables.pod.?initContainers.orValue(null)) "
    "== list ? variables.pod.initContainers : [])",
    "environment": f"variables.parameters.map(p, {_SUFFIX})",
    "sameEnvironment": "variables.environment.filter(e, "
    "!variables.environment.exists_one(f, f == e))",
    "valuesMissing": "variables.parameters.filter(p, p.type in ['Categorical', 'Ordinal'] && "
    "!has(p.values)).map(p, p.name)",
    "valuesStray": "variables.parameters.filter(p, has(p.values) && "
    "!(p.type in ['Categorical', 'Ordinal'])).map(p, p.name)",
    "valueMissing": "variables.parameters.filter(p, p.type == 'Constant' && !has(p.value))"
    ".map(p, p.name)",
    "valueStray": "variables.parameters.filter(p, p.type != 'Constant' && has(p.value))"
    ".map(p, p.name)",
    "notPlain": "variables.parameters.filter(p, "
    f"(has(p.values) && !p.values.all(v, {_PLAIN})) || "
    f"(has(p.value) && ![p.value].all(v, {_PLAIN})) || "
    f"(has(p.when) && !p.when.all(k, p.when[k].all(v, {_PLAIN})))).map(p, p.name)",
    "weightsCount": "variables.parameters.filter(p, has(p.weights) && has(p.values) && "
    "p.weights.size() != p.values.size()).map(p, p.name)",
    "conditional": "variables.parameters.filter(p, has(p.when))",
    # Parents are looked up once: 200 parameters must not exceed the cost limit of a request.
    "names": "variables.parameters.map(p, p.name)",
    "parents": "variables.parameters.filter(q, variables.conditional.exists(p, q.name in p.when))",
    "noParent": "variables.conditional.filter(p, p.name in p.when || "
    "!p.when.all(k, k in variables.names)).map(p, p.name)",
    "floatParent": "variables.conditional.filter(p, variables.parents.exists(q, "
    "q.type == 'Float' && q.name in p.when)).map(p, p.name)",
    "neverActive": "variables.conditional.filter(p, variables.parents.exists(q, "
    "q.name in p.when && ("
    "(has(q.values) && !p.when[q.name].all(v, v in q.values)) || "
    "(has(q.value) && !p.when[q.name].all(v, v == q.value)) || "
    f"(q.type == 'Integer' && !p.when[q.name].all(v, {_NUMBER} && {_WHOLE} && "
    f"{_inside('q')}))))).map(p, '%s %s'.format([p.name, p.when]))",
    # Checked where that stays within the cost limit of a request; the operator checks all points.
    "initial": "object.spec.?initialParameters.orValue([])",
    "initialChecked": "variables.initial.size() * variables.parameters.size() <= "
    f"{MAX_CHECKED} ? variables.initial : []",
    "initialUnknown": "variables.initialChecked.filter(i, !i.all(k, k in variables.names))",
    "initialNotPlain": f"variables.initialChecked.filter(i, !i.all(k, [i[k]].all(v, {_PLAIN})))",
    "initialImpossible": "variables.initialChecked.filter(i, variables.parameters.exists(p, "
    f"p.name in i && [i[p.name]].exists(v, {_IMPOSSIBLE})))",
    "ownEnvironment": "variables.containers.filter(c, "
    "type(c.?env.orValue(null)) == list && "
    "c.env.exists(e, has(e.name) && e.name.startsWith('HYPERBAND_'))).map(c, c.name)",
    "reserved": "(variables.containers + "
    "(type(variables.pod.?volumes.orValue(null)) == list ? variables.pod.volumes : []))"
    f".filter(v, has(v.name) && v.name.startsWith('{names.RESERVED_PREFIX}')).map(v, v.name)",
    "tokenMounts": "variables.containers.filter(c, "
    "type(c.?volumeMounts.orValue(null)) == list && "
    f"c.volumeMounts.exists(m, has(m.name) && m.name == '{names.TOKEN_VOLUME}')).map(c, c.name)",
    "volume": "object.spec.?checkpoint.?volume.orValue({})",
    "mounted": "!has(object.spec.checkpoint) ? [] : variables.containers.filter(c, "
    "type(c.?volumeMounts.orValue(null)) == list && c.volumeMounts.exists(m, has(m.mountPath) && "
    "m.mountPath == object.spec.checkpoint.mountPath)).map(c, c.name)",
}


def _position(variable: str) -> str:
    """Where the first offender of a variable stands among the initial points, in CEL."""
    return f"variables.initial.indexOf(variables.{variable}[0])"


_STUDY_CHECKS: Final = (
    make_check(
        "authorizer.group('').resource('pods').namespace(object.metadata.namespace)"
        ".check('create').allowed()",
        "metadata.namespace: %s may not create pods in namespace %s, and a study creates them on "
        "your behalf: ask for a role that may, such as edit",
        "request.userInfo.username",
        "request.namespace",
    ),
    make_check(
        "request.operation == 'CREATE' || object.spec.trialTemplate == "
        "oldObject.spec.trialTemplate",
        "spec.trialTemplate cannot change while the study exists, its trials would no longer be "
        "comparable: create a new study (delete this one, or take another name)",
    ),
    make_check(
        "request.operation == 'CREATE' || object.spec.parameters == oldObject.spec.parameters",
        "spec.parameters cannot change while the study exists, its trials would no longer be "
        "comparable: create a new study (delete this one, or take another name)",
    ),
    *(
        make_check(
            f"request.operation == 'CREATE' || object.spec.?{name} == oldObject.spec.?{name}",
            f"spec.{name} cannot change while the study exists, its suggestions would no longer be "
            "those of one search: create a new study (delete this one, or take another name)",
        )
        for name in ("initialParameters", "warmStart")
    ),
    make_check(
        "request.operation == 'CREATE' || variables.volume == "
        "oldObject.spec.?checkpoint.?volume.orValue({})",
        "spec.checkpoint.volume cannot change while the study exists, its checkpoints would be "
        "lost: create a new study (delete this one, or take another name)",
    ),
    _none(
        "sameEnvironment",
        "spec.parameters: several names become the same environment variable, HYPERBAND_PARAM_ "
        "with %s: rename one of them",
        "variables.sameEnvironment",
    ),
    _none(
        "valuesMissing",
        "spec.parameters: values is missing in %s: list what a Categorical or Ordinal may be",
        "variables.valuesMissing",
    ),
    _none(
        "valuesStray",
        "spec.parameters: values means nothing to the type of %s: leave it out, or use type "
        "Categorical or Ordinal",
        "variables.valuesStray",
    ),
    _none(
        "valueMissing",
        "spec.parameters: value is missing in %s: a Constant needs one",
        "variables.valueMissing",
    ),
    _none(
        "valueStray",
        "spec.parameters: value means nothing to the type of %s: leave it out, or use type "
        "Constant",
        "variables.valueStray",
    ),
    _none(
        "notPlain",
        "spec.parameters: %s has a value that is a list, an object or null: use strings, numbers "
        "or booleans, and write an object as a JSON string",
        "variables.notPlain",
    ),
    _none(
        "weightsCount",
        "spec.parameters: weights of %s are not as many as its values: give one for each",
        "variables.weightsCount",
    ),
    _none(
        "noParent",
        "spec.parameters: when of %s names a parameter that does not exist, or itself: name "
        "another parameter of this study",
        "variables.noParent",
    ),
    _none(
        "floatParent",
        "spec.parameters: when of %s depends on a Float, whose values cannot be listed: use an "
        "Integer, Categorical, Ordinal or Constant",
        "variables.floatParent",
    ),
    _none(
        "neverActive",
        "spec.parameters: when of %s lists a value that its parent never has: use the parent's "
        "own values, of the same type (quotes make a string)",
        "variables.neverActive.join('; ')",
    ),
    _none(
        "initialUnknown",
        "spec.initialParameters[%s]: no parameters are named %s: use the names in spec.parameters",
        _position("initialUnknown"),
        "variables.initialUnknown[0].filter(k, !(k in variables.names)).join(', ')",
    ),
    _none(
        "initialNotPlain",
        "spec.initialParameters[%s]: %s has a value that is a list, an object or null: use "
        "strings, numbers or booleans",
        _position("initialNotPlain"),
        "[variables.initialNotPlain[0]].map(i, "
        f"i.filter(k, ![i[k]].all(v, {_PLAIN})).join(', '))[0]",
    ),
    _none(
        "initialImpossible",
        "%s",
        f"[[variables.initialImpossible[0], {_position('initialImpossible')}]].map(i, "
        "variables.parameters.filter(p, p.name in i[0] && "
        f"[i[0][p.name]].exists(v, {_IMPOSSIBLE})).map(p, [i[0][p.name]].map(v, "
        "'spec.initialParameters[%s].%s: %s %s'.format("
        f"[i[1], p.name, {_SHOWN}, {_PROBLEM}]))[0]).join('; '))[0]",
        plain="spec.initialParameters: a value is not one that its parameter can have: use values "
        "within its bounds, or among its values, of the same type (quotes make a string)",
    ),
    _none(
        "ownEnvironment",
        "spec.trialTemplate.spec: containers %s set variables HYPERBAND_…, which the operator "
        "sets: remove them from env",
        "variables.ownEnvironment",
    ),
    _none(
        "reserved",
        "spec.trialTemplate.spec: %s begin with "
        f"{names.RESERVED_PREFIX}, as the names of what the operator adds do: give them others",
        "variables.reserved",
    ),
    _none(
        "tokenMounts",
        "spec.trialTemplate.spec: volumeMounts of containers %s name "
        f"{names.TOKEN_VOLUME}, the volume of the reporter's token, which the operator mounts "
        "where it is needed: remove them",
        "variables.tokenMounts",
    ),
    make_check(
        "!has(object.spec.checkpoint) || variables.volume.size() == 1",
        "spec.checkpoint.volume: has the fields %s: give exactly one source of a volume, such as "
        "persistentVolumeClaim, and no name",
        "variables.volume.map(k, k)",
    ),
    make_check(
        "!has(variables.volume.emptyDir)",
        "spec.checkpoint.volume.emptyDir: is gone with each pod, so that no attempt would find a "
        "checkpoint: use a persistentVolumeClaim, nfs or hostPath",
    ),
    _none(
        "mounted",
        "spec.checkpoint.mountPath: containers %s of the template mount something at %s already: "
        "remove that mount, or choose another mountPath",
        "variables.mounted",
        "object.spec.checkpoint.mountPath",
    ),
)


def study_policy(operator_namespace: str = OPERATOR_NAMESPACE) -> list[Manifest]:
    """What a study must be, beyond the rules of its definition, and who may create it.

    Args:
        operator_namespace: where the operator runs: no study may make pods next to it.
    """
    elsewhere = make_check(
        f"request.namespace != '{operator_namespace}'",
        f"metadata.namespace: {operator_namespace} is the operator's own: create the study in a "
        "namespace of your team",
    )
    return make_policy(
        "hyperband-study",
        [_own_resource(names.STUDY_PLURAL)],
        # Foreground deletion patches finalizers of a study that its user may no longer change.
        {"spec-changes": "request.operation == 'CREATE' || object.spec != oldObject.spec"},
        _STUDY_VARIABLES,
        [elsewhere, *_STUDY_CHECKS],
    )


# Told by what nobody else may do.
_BY_AN_OPERATOR: Final = (
    f"authorizer.group('{names.GROUP}').resource('{names.TRIAL_PLURAL}').subresource('status')"
    ".namespace(request.namespace).check('update').allowed()"
)


def lease_policy() -> list[Manifest]:
    """Who may edit a namespace may write its Leases, and would hold up the operator of others too.

    By deleting one again and again he would have two work at a time. It goes with its namespace:
    who may delete that, as its controller may, may delete the Lease.
    """
    leases = {
        "apiGroups": ["coordination.k8s.io"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE", "DELETE"],
        "resources": ["leases"],
    }
    lease = "(request.operation == 'DELETE' ? oldObject : object)"
    elects = f"{lease}.metadata.name in ['{names.LEASE}', '{names.NAMESPACE_LEASE}']"
    words = "metadata.name: this Lease elects the operator that works, %s may not: use another name"
    ends = (
        "request.operation == 'DELETE' && authorizer.group('').resource('namespaces')"
        ".namespace(request.namespace).name(request.namespace).check('delete').allowed()"
    )
    check = make_check(f"({ends}) || {_BY_AN_OPERATOR}", words, "request.userInfo.username")
    return make_policy("hyperband-lease", [leases], {"elects": elects}, {}, [check])


def trial_policy() -> list[Manifest]:
    """Trials are records: the operator writes them, once."""
    return _record_policy("hyperband-trial", names.TRIAL_KIND, names.TRIAL_PLURAL)


def archive_policy() -> list[Manifest]:
    """So are archives."""
    return _record_policy("hyperband-archive", names.ARCHIVE_KIND, names.ARCHIVE_PLURAL)


def _record_policy(name: str, kind: str, plural: str) -> list[Manifest]:
    return make_policy(
        name,
        [_own_resource(plural)],
        {"spec-changes": "request.operation == 'CREATE' || object.spec != oldObject.spec"},
        {},
        [
            make_check(
                "request.operation == 'CREATE'",
                f"spec: a {kind} is a record and never changes: change or create a HyperbandStudy",
            ),
            make_check(
                _BY_AN_OPERATOR,
                f"spec: {kind}s are created by the operator alone, %s may not: create a "
                "HyperbandStudy",
                "request.userInfo.username",
            ),
        ],
    )
