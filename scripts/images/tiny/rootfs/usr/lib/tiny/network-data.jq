# OpenStack's network_data.json as lines "MAC WORD ARGUMENTS", for what is not left to DHCP.
# An IPv4 netmask stays as it is (ip understands it); an IPv6 one becomes a prefix length.
def bits: if test(":") then ([. / ":" | .[] | {ffff: 16, fff0: 12, ff00: 8, f000: 4}[.] // 0] | add | tostring) else . end;
def cidr($mask): if test("/") then . else "\(.)/\($mask | bits)" end;

([.links[]? | {key: .id, value: .ethernet_mac_address}] | from_entries) as $mac
| (.links[]? | select(.mtu != null) | "\(.ethernet_mac_address) mtu \(.mtu)"),
  (.networks[]? | select(.type == "ipv4" or .type == "ipv6") | . as $network
    | "\($mac[.link]) address \(.ip_address | cidr($network.netmask // (if $network.type == "ipv4" then "32" else "64" end)))",
      (.routes[]? | . as $route | select((.gateway // "") != "")
        | "\($mac[$network.link]) route \(if .network == "0.0.0.0" or .network == "::" then "default" else .network | cidr($route.netmask) end) \(.gateway)")),
  (.services[]? | select(.type == "dns") | "- nameserver \(.address)")
