# What pint holds the rules to, https://cloudflare.github.io/pint. Written from its documentation of 2026 (promql/nan is as young);
# pint could not be had where this was made, so it has never been run. `make check` runs it where it is on the PATH.
#
# There is no `prometheus` block: what asks a running server (promql/series, promql/rate, query/cost, ...) has none to ask.

ci {
  include    = ["alert-rules/recording/.+[.]yml", "alert-rules/alerting/.+[.]yml"]
  baseBranch = "main"
}

checks {
  disabled = [
    # A condition stands in the recording rule: version_feature:driftline_feature_psi_moved:training24h is there only of what
    # has moved, so that panel, count and alert agree. And a watchdog has none.
    "alerts/comparison",
    # Every divisor inside a sum is a share, smoothed by ten pseudo-values and never 0, or was guarded where it was recorded;
    # through a recorded series the check sees neither.
    "promql/nan",
  ]
}

rule {
  match {
    kind = "alerting"
  }

  name "(Model|Driftline)[A-Za-z]+" {
    comment  = "Alerts of a model begin with Model, those of driftline itself with Driftline: routes and inhibition read that."
    severity = "bug"
  }

  label "severity" {
    value    = "critical|warning|info|none"
    required = true
    severity = "bug"
  }

  label "category" {
    value    = "drift|quality|performance|volume|upstream|availability|telemetry|slo|change"
    required = true
    severity = "bug"
  }

  # Not required: of a rule for two priorities the expression says which.
  label "priority" {
    value    = "P[1-4]"
    severity = "bug"
  }

  annotation "summary" {
    value    = "[A-Z][^{]+[.]"
    required = true
    severity = "bug"
  }

  annotation "description" {
    required = true
    severity = "bug"
  }

  annotation "runbook_url" {
    value    = "https://github[.]com/driftline/driftline/blob/main/alert-rules/runbooks/{{ $alert }}[.]md"
    required = true
    severity = "bug"
  }

  annotation "dashboard_url" {
    value    = "https://[^/]+/d/driftline-.+"
    required = true
    severity = "bug"
  }

  # absent() of a name alone is silent as soon as anybody else exports it.
  call "absent|absent_over_time" {
    selector ".+" {
      requiredLabels = ["job"]
    }
  }
}

rule {
  match {
    kind = "alerting"
  }

  # It always fires: whoever waits for it must not wait longer.
  ignore {
    name = "DriftlineWatchdog"
  }

  for {
    min      = "1m"
    severity = "bug"
  }
}

rule {
  match {
    kind = "recording"
  }

  name "[a-z_]+:driftline_[a-z_]+:[a-z0-9_]+" {
    comment  = "level:metric:operations, as Prometheus has it."
    severity = "bug"
  }

  # Counts of all sidecars are added up; a model of one name in two environments is two.
  aggregate ".+" {
    keep  = ["environment"]
    strip = ["instance"]
  }
}
