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
{{- $strategy := .Values.node.updateStrategy }}
{{- if and .Values.registrar.enabled (eq ($strategy.type | default "RollingUpdate") "RollingUpdate") (not (has (toString (get ($strategy.rollingUpdate | default dict) "maxSurge" | default 0)) (list "0" "0%"))) }}
{{- fail "registrar.enabled is set and node.updateStrategy has maxSurge: the sidecar of the old pod, when it ends, takes the socket of the new pod's away, and the kubelet forgets the driver. Set node.updateStrategy.type=OnDelete, or rollingUpdate.maxSurge=0 with maxUnavailable=1; or leave the sidecar out: the driver registers itself" }}
{{- end }}
{{- include "aoe.requireOwnClusterId" . }}
{{- include "aoe.requireSameNodes" . }}
{{- end }}

{{/*
What volumes have been told for ever, and nodes would no longer be: looked up in the DaemonSet that is there. Nothing is without a cluster
(helm template).
*/}}
{{- define "aoe.requireSameNodes" -}}
{{- $there := lookup "apps/v1" "DaemonSet" .Release.Namespace "aoe-csi-node" }}
{{- $isOurs := eq (dig "metadata" "annotations" "meta.helm.sh/release-name" "" $there) .Release.Name }}
{{- range (dig "spec" "template" "spec" "containers" list $there) }}
{{- if and $isOurs (eq .name "node") }}
{{- range .args }}
{{- include "aoe.requireSameDriver" (dict "root" $ "argument" .) }}
{{- if not $.Values.node.allowOtherSegments }}
{{- include "aoe.requireSameSegment" (dict "root" $ "argument" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The next initiator would look for the devices of the one before in another folder. */}}
{{- define "aoe.requireSameDriver" -}}
{{- $name := trimPrefix "--driver-name=" .argument }}
{{- if and (hasPrefix "--driver-name=" .argument) (ne $name .root.Values.driverName) }}
{{- fail (printf "driverName can't be changed from %s to %s: volumes keep it for ever, and all devices that are in use would stand still. Install a second release in a namespace of its own instead, move the data there, and uninstall this one" $name .root.Values.driverName) }}
{{- end }}
{{- end }}

{{- define "aoe.requireSameSegment" -}}
{{- if hasPrefix "--segment=" .argument }}
{{- $segment := trimPrefix "--segment=" .argument }}
{{- $key := regexReplaceAll "=.*$" $segment "" }}
{{- $value := trimPrefix (printf "%s=" $key) $segment }}
{{- $next := get (include "aoe.segments" .root | fromYaml) $key }}
{{- $keep := printf "--set 'node.segments.%s=%s'" (replace "." "\\." $key) $value }}
{{- if ne (toString $next) $value }}
{{- fail (printf "nodes are in the segment %s=%s now, and with these values %s: volumes that were made so far could not be used on new nodes, and kubelets refuse a driver that says something else than the label of their node. Keep it with %s; or, when no PersistentVolume has it (kubectl get pv -o yaml | grep %s), --set node.allowOtherSegments=true, and take the label off: kubectl label nodes --all %s-" $key $value (ternary "in none of that key" (printf "in %s=%s" $key (toString $next)) (empty $next)) $keep $key $key) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Labels that all nodes have, as YAML. */}}
{{- define "aoe.segments" -}}
{{- $default := ternary (dict) (dict (printf "topology.%s/segment" .Values.driverName) "default") (not (empty .Values.node.networks)) }}
{{- toYaml (.Values.node.segments | default $default) }}
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

{{/* A pod that runs once, for helm: where the controller may run. */}}
{{- define "aoe.helperPod" -}}
restartPolicy: Never
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.controller.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.controller.nodeSelector }}
nodeSelector:
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
