"""Pages for a ticket or an audit: what a Prometheus knows of a model, and what ``compare`` found, as one HTML file."""
