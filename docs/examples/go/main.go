// A service whose every prediction is a record for driftline, through OpenTelemetry's own SDK for Go.
//
//	go build -o service . && OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://127.0.0.1:4327 ./service 127.0.0.1:8080
//	curl -d '{"amount": 9.5, "plan": "pro", "member": true}' http://127.0.0.1:8080/predict
package main

import (
	"context"
	"encoding/json"
	"errors"
	stdlog "log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/log"
	sdk "go.opentelemetry.io/otel/sdk/log"
)

// features are what the model reads; what a caller left out is nil, is not sent, and counts as missing.
type features struct {
	Amount *float64 `json:"amount"`
	Plan   *string  `json:"plan"`
	Member *bool    `json:"member"`
}

func predict(f features) float64 {
	rate, amount := 0.2, 0.0
	if f.Member != nil && *f.Member {
		rate = 0.1
	}
	if f.Amount != nil {
		amount = *f.Amount
	}
	return rate * amount
}

func record(f features, answer float64, took time.Duration) log.Record {
	data := []attribute.KeyValue{
		attribute.Float64("@prediction", answer),
		attribute.Float64("@latency", took.Seconds()),
	}
	if f.Amount != nil {
		data = append(data, attribute.Float64("amount", *f.Amount))
	}
	if f.Plan != nil {
		data = append(data, attribute.String("plan", *f.Plan))
	}
	if f.Member != nil {
		data = append(data, attribute.Bool("member", *f.Member))
	}
	var record log.Record
	record.SetEventName("driftline.prediction.batch")
	record.AddAttributes(
		attribute.Int("driftline.contract.version", 1),
		attribute.String("driftline.model.name", "fraud"),
		attribute.String("driftline.model.version", "1"),
		attribute.Int("driftline.batch.rows", 1),
		attribute.Map("driftline.data", data...),
	)
	return record
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	exporter, err := otlploggrpc.New(ctx)
	if err != nil {
		stdlog.Fatal(err)
	}
	// Past the queue's size records are dropped, the oldest first. 2,048 a second is the default.
	provider := sdk.NewLoggerProvider(sdk.WithProcessor(sdk.NewBatchProcessor(exporter, sdk.WithMaxQueueSize(16_384))))
	logger := provider.Logger("checkout")

	http.HandleFunc("/predict", func(w http.ResponseWriter, r *http.Request) {
		var f features
		if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		start := time.Now()
		answer := predict(f)
		logger.Emit(r.Context(), record(f, answer, time.Since(start)))
		json.NewEncoder(w).Encode(answer)
	})
	server := &http.Server{Addr: os.Args[1]}
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			stdlog.Fatal(err)
		}
	}()
	<-ctx.Done()
	server.Shutdown(context.Background())
	provider.Shutdown(context.Background()) // sends what is still waiting
}
