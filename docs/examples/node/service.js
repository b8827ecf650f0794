// A service whose every prediction is a record for driftline, through OpenTelemetry's own SDK for JavaScript.
//
//   npm ci && OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://127.0.0.1:4328/v1/logs node service.js 8080
//   curl -d '{"amount": 9.5, "plan": "pro", "member": true}' http://127.0.0.1:8080/predict

import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';

// Past maxQueueSize records wait in vain: they are dropped. 2,048 a second is the default.
const provider = new LoggerProvider({
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter(), maxQueueSize: 16_384 })],
});
const logger = provider.getLogger('checkout');

const predict = ({ amount, member }) => (member ? 0.1 : 0.2) * (amount ?? 0);

const server = createServer(async (request, response) => {
  const features = JSON.parse(await text(request));
  const start = performance.now();
  const answer = predict(features);
  logger.emit({
    eventName: 'driftline.prediction.batch',
    attributes: {
      'driftline.contract.version': 1,
      'driftline.model.name': 'fraud',
      'driftline.model.version': '1',
      'driftline.batch.rows': 1,
      'driftline.data': { ...features, '@prediction': answer, '@latency': (performance.now() - start) / 1000 },
    },
  });
  response.end(JSON.stringify(answer));
});
server.listen(Number(process.argv[2] ?? 8080), '127.0.0.1');

process.once('SIGTERM', async () => {
  server.close();
  await provider.shutdown(); // sends what is still waiting
  process.exit(0);
});
