# What pint, 0.86 or later, holds the rules to: https://cloudflare.github.io/pint. It could not be had where this was made, so it has
# never been run: its source was read for the blocks, the names of checks, and what each check that needs no server would say of
# these rules. `make check` runs it where it is on the PATH.
#
# pint writes ^ and $ around a pattern, and no parentheses: a choice needs its own. There is no `prometheus` block: what asks a
# running server (promql/series, promql/rate, rule/duplicate, ...) has none to ask.

parser {
  include = ["alert-rules/recording/.+[.]yml", "alert-rules/alerting/.+[.]yml"]
}

ci {
  baseBranch = "main"
}

# Alerts without a comparison. What is moved, slight, silent, expected or in use is there only where it is so, so that panel, count and alert
# agree: the condition stands in the recording rule. Of renamed labels one series is too many. The watchdog always fires.
rule {
  match {
    kind = "alerting"
    name = "(ModelFeature(Drift|Shift|EarlyNotice)|ModelLearning|ModelServiceDown|ModelTelemetryAbsent|DriftlineLabelsRenamed|DriftlineWatchdog)"
  }
  disable = ["alerts/comparison"]
}

# PSI and Pearson's statistic divide by a share of a bin, smoothed by half a value or by ten, which is never 0. In what chance explains,
# 1 / avg(...) divides outside the aggregation.
rule {
  match {
    kind = "recording"
    name = "[a-z_]+:driftline_(segment_)?feature_(psi|psi_slow|pearson|pearson_slow|chance|faults_chance):.+"
  }
  disable = ["promql/nan"]
}

# Days move on the hour: their bins are recorded every half hour or every hour, and read by last_over_time.
rule {
  match {
    kind = "recording"
    path = "alert-rules/recording/drift[.]yml"
  }
  disable = ["group/interval"]
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
    value    = "(critical|warning|info|none)"
    required = true
    severity = "bug"
  }

  label "category" {
    value    = "(drift|quality|performance|volume|upstream|availability|telemetry|slo|change)"
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
  call "absent(_over_time)?" {
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
}

rule {
  match {
    kind = "recording"
  }

  # What is known of each sidecar.
  ignore {
    name = "sidecar:.+"
  }

  # Counts of all sidecars are added up; a model of one name in two environments is two.
  aggregate ".+" {
    keep  = ["environment"]
    strip = ["instance"]
  }
}
