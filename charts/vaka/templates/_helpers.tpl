{{- define "vaka.name" -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "vaka.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "vaka.name" .) }}
{{- end }}

{{- define "vaka.selector" -}}
app.kubernetes.io/name: vaka-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "vaka.labels" -}}
{{ include "vaka.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: vaka
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "vaka.routerKey" -}}
{{ .Values.router.keySecret | default (printf "%s-router-key" (include "vaka.name" .)) }}
{{- end }}

{{/* An image's full name: (list $ NAME), where a tag or digest of its own stands above images.tag. */}}
{{- define "vaka.image" -}}
{{- $values := (index . 0).Values.images -}}
{{- $name := get $values (index . 1) -}}
{{- if not (regexMatch "[:@]" $name) -}}
{{- $name = printf "%s:%s" $name ($values.tag | default (index . 0).Chart.AppVersion) -}}
{{- end -}}
{{- if $values.registry }}{{ $values.registry }}/{{ end }}{{ $name }}
{{- end }}
