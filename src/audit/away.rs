//! A gauge of whether the audit's database is unavailable: computed at each scrape, so that it agrees with `/ready`. Does not
//! know how it is found out.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// The gauge.
pub struct AwayCollector(Box<dyn Fn() -> bool + Send + Sync>);

impl AwayCollector {
    /// As `is_away` says.
    pub fn new(is_away: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Box::new(is_away))
    }
}

impl fmt::Debug for AwayCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwayCollector")
    }
}

impl Collector for AwayCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "1 while the audit's database cannot be written, else 0";
        let metric = encoder.encode_descriptor("synckairos_audit_database_away", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from((self.0)())).encode(metric)
    }
}
