#!/bin/sh
# Asks for a name that nobody has asked for before.
exec getent ahostsv4 "n$(date +%s%N).fresh.example"
