{{/* The name of everything that belongs to the release; short enough for a Service's name, 63 with -metrics. */}}
{{- define "shopkeeper.name" -}}
{{- $name := .Release.Name }}
{{- if not (contains "shopkeeper" $name) }}{{ $name = printf "%s-shopkeeper" $name }}{{ end }}
{{- $name | trunc 55 | trimSuffix "-" }}
{{- end }}

{{/* What the Deployment selects its pods by; never changes. */}}
{{- define "shopkeeper.selector" -}}
app.kubernetes.io/name: shopkeeper-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "shopkeeper.labels" -}}
{{ include "shopkeeper.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* One image reference: (list $ .Values.images.operator) */}}
{{- define "shopkeeper.image" -}}
{{- $root := index . 0 }}{{- $image := index . 1 }}
{{- $tag := $image.tag | default $root.Values.images.tag | default $root.Chart.AppVersion }}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ $tag }}{{ end }}
{{- end }}

{{/* What the operator may do in a namespace it looks after, and no more. A test compares it with what the operator asks for. */}}
{{- define "shopkeeper.rules" -}}
# The resources it looks after, and nothing of them but the status is written.
- apiGroups: [shopkeeper.dev]
  resources: [goodsservices, inventoryservices]
  verbs: [get, list, watch]
- apiGroups: [shopkeeper.dev]
  resources: [goodsservices/status, inventoryservices/status]
  verbs: [patch]
# Clusters that enforce permissions on owner references ask for this before a child may block its owner's deletion.
- apiGroups: [shopkeeper.dev]
  resources: [goodsservices/finalizers, inventoryservices/finalizers]
  verbs: [update]
# The children: pods and how they are reached. Revisions, autoscalers and network policies are to come.
- apiGroups: [apps]
  resources: [deployments, controllerrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, serviceaccounts, configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# The pods' own right to watch one ConfigMap and acknowledge into a few. Kubernetes lets nobody give what he has not himself.
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, list, watch, create, patch, delete]
# The volume of an embedded database outlives everything: it is made, never changed, never deleted.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [get, create]
# Who serves, and what a pod says of its failure.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
# What changed, told once.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
