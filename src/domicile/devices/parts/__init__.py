"""What several device families share."""
