//! Reads counters from a node's `/metrics` in the prometheus text format.

/// Sum over all series of the metric `name`, whatever their labels.
pub fn sum(text: &str, name: &str) -> f64 {
    text.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let value = match rest.as_bytes().first()? {
                b'{' => rest.rsplit_once('}')?.1,
                b' ' => rest,
                _ => return None,
            };
            value.split_ascii_whitespace().next()?.parse::<f64>().ok()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn series_of_one_metric_are_added() {
        let text = "# HELP onsale_log_fsyncs_total Syncs.\n\
                    # TYPE onsale_log_fsyncs_total counter\n\
                    onsale_log_fsyncs_total 12\n\
                    onsale_sale_commands_total{command=\"place_hold\"} 3\n\
                    onsale_sale_commands_total{command=\"odd } name\"} 4\n\
                    onsale_sale_commands_total_other 100\n";
        assert_eq!(super::sum(text, "onsale_log_fsyncs_total"), 12.0);
        assert_eq!(super::sum(text, "onsale_sale_commands_total"), 7.0);
        assert_eq!(super::sum(text, "onsale_raft_entries_total"), 0.0);
    }
}
