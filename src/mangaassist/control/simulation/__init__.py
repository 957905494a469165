"""What a policy does with this team's traffic: false alarms, detections and delays, by simulation."""
