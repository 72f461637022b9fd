"""Many gates with the students of one desk, through an MQTT broker."""
