{{/* Name of the operator's own objects: a release may have dots in its name, a Service may not. */}}
{{- define "hyperband.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name }}
{{- .Release.Name | replace "." "-" | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name .Chart.Name | replace "." "-" | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "hyperband.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "hyperband.fullname" .) }}
{{- end }}

{{/* What never changes of an installation: by this its pods are found. */}}
{{- define "hyperband.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The same of the page's pods, which are none of the operator's. */}}
{{- define "hyperband.dashboardSelector" -}}
app.kubernetes.io/name: hyperband-dashboard
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "hyperband.labels" -}}
{{ include "hyperband.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Annotations of an object, and whether Helm is to keep it: (list . KEEP). */}}
{{- define "hyperband.annotations" -}}
{{- $all := deepCopy (index . 0).Values.commonAnnotations }}
{{- if index . 1 }}
{{- $_ := set $all "helm.sh/resource-policy" "keep" }}
{{- end }}
{{- with $all }}
  annotations: {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{/* Name, labels and annotations of an object, and whether Helm is to keep it: (list . NAME KEEP). */}}
{{- define "hyperband.named" -}}
{{- $root := index . 0 }}
  name: {{ index . 1 }}
  labels: {{- include "hyperband.labels" $root | nindent 4 }}
{{- include "hyperband.annotations" (list $root (index . 2)) }}
{{- end }}

{{/* That of an object of this installation: (list . NAME). */}}
{{- define "hyperband.metadata" -}}
{{- include "hyperband.named" (append . false) }}
{{- end }}

{{/* That of an object that trials need which run on without an operator. */}}
{{- define "hyperband.keptMetadata" -}}
{{- include "hyperband.named" (append . (index . 0).Values.crds.keep) }}
{{- end }}

{{/* Where operators for all namespaces have their Lease. */}}
{{- define "hyperband.leaseNamespace" -}}
{{- .Values.leaseNamespace | default .Release.Namespace }}
{{- end }}

{{/* The reference of an image: (list . IMAGE). */}}
{{- define "hyperband.image" -}}
{{- $image := index . 1 }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository ($image.tag | default (index . 0).Chart.AppVersion) }}
{{- end }}
{{- end }}

{{/* What the operator may do where it works on studies. */}}
{{- define "hyperband.rules" -}}
- apiGroups: [hyperband.dev]
  resources: [hyperbandstudies]
  verbs: [get, list, watch, delete]  # delete: spec.ttlAfterFinished
- apiGroups: [hyperband.dev]
  resources: [hyperbandstudies/status]
  verbs: [update]
- apiGroups: [hyperband.dev]
  resources: [hyperbandtrials]
  verbs: [get, list, watch, create, delete]  # never changed: their spec is a record
- apiGroups: [hyperband.dev]
  resources: [hyperbandarchives]
  verbs: [get, list, watch, create]
- apiGroups: [hyperband.dev]
  resources: [hyperbandtrials/status]
  verbs: [update]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete]  # patch: to end a pod but keep its log
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
# To tell before the first trial whether its pods may report.
- apiGroups: [authorization.k8s.io]
  resources: [localsubjectaccessreviews]
  verbs: [create]
{{- end }}

{{/* What the page reads where it shows studies. */}}
{{- define "hyperband.dashboardRules" -}}
- apiGroups: [hyperband.dev]
  resources: [hyperbandstudies, hyperbandtrials]
  verbs: [list, watch]
- apiGroups: [hyperband.dev]
  resources: [hyperbandarchives]
  verbs: [get, list]
- apiGroups: [""]
  resources: [pods, events]
  verbs: [list]
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end }}

{{/* Whom a pod of ours may reach: DNS and the API server. */}}
{{- define "hyperband.egress" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
- ports:
    {{- range .Values.networkPolicy.apiServerPorts }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}

{{/* A Lease that elects one of several operators: its name. RBAC cannot tie `create` to one. */}}
{{- define "hyperband.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ . }}]
  verbs: [get, patch]
{{- end }}

{{/* To whom rights are granted. */}}
{{- define "hyperband.subjects" -}}
- kind: ServiceAccount
  name: {{ include "hyperband.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
