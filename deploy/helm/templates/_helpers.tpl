{{- define "aoe.labels" -}}
{{ include "aoe.commonLabels" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "aoe.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* What pods are selected by: never changes. */}}
{{- define "aoe.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/*
Names. One installation has one namespace, in which names are fixed: a second one there is refused by Helm, as the objects are another
release's. What is not in a namespace is named after the driver, of which there is one in a cluster for the same reason.
*/}}
{{- define "aoe.clusterName" -}}
{{ .root.Values.driverName }}-{{ .name }}
{{- end }}

{{/* Folder of the node for sockets and for what must outlive a pod but not the node. */}}
{{- define "aoe.runDirectory" -}}
/run/{{ .Values.driverName }}
{{- end }}

{{- define "aoe.image" -}}
{{- $tag := .image.tag | default .fallback -}}
{{ .image.repository }}{{ if .image.digest }}@{{ .image.digest }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}

{{- define "aoe.ownImage" -}}
{{ include "aoe.image" (dict "image" .Values.image "fallback" .Chart.AppVersion) }}
{{- end }}

{{/* Of a container that may do nothing but compute and talk. */}}
{{- define "aoe.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* A sidecar of the controller: what all have in common. */}}
{{- define "aoe.sidecar" -}}
{{- $values := index .root.Values .name -}}
- name: {{ .name }}
  image: {{ include "aoe.image" (dict "image" $values.image "fallback" "") | quote }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  args:
    - --csi-address=/csi/csi.sock
    - --leader-election
    - --leader-election-namespace=$(NAMESPACE)
    - --http-endpoint=:{{ .port }}
    - --timeout={{ $values.timeout }}
    - --retry-interval-start=1s
    - --retry-interval-max=1m
    - --kube-api-qps=20
    - --kube-api-burst=40
    {{- range .args }}
    - {{ . }}
    {{- end }}
    {{- range $values.extraArgs }}
    - {{ . | quote }}
    {{- end }}
  env:
    - name: NAMESPACE
      valueFrom:
        fieldRef:
          fieldPath: metadata.namespace
    - name: POD_NAME
      valueFrom:
        fieldRef:
          fieldPath: metadata.name
  ports:
    - name: {{ .name }}
      containerPort: {{ .port }}
  # A node that is short of time must not end it again and again before it has started.
  startupProbe:
    httpGet:
      path: /healthz/leader-election
      port: {{ .name }}
    periodSeconds: 5
    timeoutSeconds: 10
    failureThreshold: 60
  livenessProbe:
    httpGet:
      path: /healthz/leader-election
      port: {{ .name }}
    periodSeconds: 20
    timeoutSeconds: 10
  resources:
    {{- toYaml $values.resources | nindent 4 }}
  securityContext:
    {{- include "aoe.restricted" . | nindent 4 }}
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
    - name: csi
      mountPath: /csi
{{- end }}

{{/* What a schema can't say as well: refuses values with the reason, and what to do. */}}
{{- define "aoe.validate" -}}
{{- if not .Values.clusterId }}
{{- fail "clusterId is missing: give this cluster a name that no other cluster on the storage network has, for example --set clusterId=prod-1. It stands in the claim on each target and can't be changed later" }}
{{- end }}
{{- if not (or .Values.interfaces .Values.allowNoInterfaces) }}
{{- fail "interfaces is empty: no node would see a target. Name the network interfaces that carry AoE, for example --set 'interfaces={eth1}' or --set 'interfaces={san*}'; to install without any, --set allowNoInterfaces=true" }}
{{- end }}
{{- if and (hasKey .Values.initiator.resources "limits") (hasKey (.Values.initiator.resources.limits | default dict) "cpu") }}
{{- fail "initiator.resources.limits.cpu is set: each time the initiator is throttled, all volumes of its node stand still. Remove the limit" }}
{{- end }}
{{- include "aoe.requireOwnClusterId" . }}
{{- end }}

{{/*
Two installations with one cluster id would take each other's claims for claims of their own whose volumes are gone, which a person may
release and wipe: while the other's nodes write to them. So would the next installation elsewhere when one has gone and its volumes have
not; its ConfigMap stays for that. Nothing is looked up without a cluster (helm template), nor for a namespace that has its id already.
*/}}
{{- define "aoe.requireOwnClusterId" -}}
{{- $id := .Values.clusterId }}
{{- if not (lookup "v1" "ConfigMap" .Release.Namespace "aoe-csi-cluster") }}
{{- range (lookup "v1" "ConfigMap" "" "").items }}
{{- if and (eq .metadata.name "aoe-csi-cluster") (eq (get (.data | default dict) "clusterId") $id) }}
{{- fail (printf "clusterId %s is the one of the installation in namespace %s: each of the two would take the other's volumes for volumes that nobody knows any more, and could wipe them. Give this one an id of its own, for example --set clusterId=%s-%s; or, when the other one and all of its volumes are gone for good: kubectl -n %s delete configmap aoe-csi-cluster" $id .metadata.namespace $id $.Release.Namespace .metadata.namespace) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Not empty when this release is to install a definition: all installations of a cluster share them. */}}
{{- define "aoe.ownsDefinition" -}}
{{- $install := .root.Values.crds.install }}
{{- if eq $install "always" }}yes{{ end }}
{{- if eq $install "auto" }}
{{- $there := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" .name }}
{{- if not $there }}yes{{ else }}
{{- $annotations := $there.metadata.annotations | default dict }}
{{- $isOurs := and (eq (index $annotations "meta.helm.sh/release-name" | default "") .root.Release.Name) (eq (index $annotations "meta.helm.sh/release-namespace" | default "") .root.Release.Namespace) }}
{{- if $isOurs }}yes{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A pod that runs once, for helm. */}}
{{- define "aoe.helperPod" -}}
restartPolicy: Never
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "aoe.helperContainer" -}}
image: {{ include "aoe.ownImage" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  {{- include "aoe.restricted" . | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}
