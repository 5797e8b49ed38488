"""From wanted and recorded to a Plan: refresh, diff, risk, order. Reads the world, changes nothing."""
