package model

// DNSService answers names at a network service of mode dns.
type DNSService struct {
	Meta
	NetworkServiceUUID string      `json:"network_service_uuid" vn:"required,ref=network_services,cascade,mutable" doc:"The network service, of mode dns."`
	PublicDNS          AddressList `json:"public_dns" vn:"mutable" doc:"Addresses of the servers, separated by commas, that are asked for names without a record. Without any such names do not exist."`
}

// DNSServices declares the resource.
var DNSServices = declare(spec[DNSService]{
	name: "dns_service", plural: "dns_services", prefix: "dnss",
	doc:   "The names that a network service of mode dns answers, by its dns_records and by public servers.",
	reach: Reach{With: []string{"network_service_uuid"}},
	validate: func(s *DNSService) error {
		for _, a := range s.PublicDNS.Addrs() {
			if a.IsLoopback() || a.IsLinkLocalUnicast() {
				return Errorf(ArgumentError, "public_dns", "%s is the host's own or of its link; guests are not to reach what listens there", a)
			}
		}
		return nil
	},
	check: func(s *DNSService, rd Reader) error {
		return checkMode(rd, "network_service_uuid", s.NetworkServiceUUID, ServiceDNS)
	},
})

// checkMode refuses an object that is not of that mode.
func checkMode(rd Reader, field, uuid, mode string) error {
	o, _ := rd.Get(uuid)
	if got := Of(o).Field("mode").Text(o); got != mode {
		return Errorf(ArgumentError, field, "%s has mode %s; one of mode %s is needed", uuid, got, mode)
	}
	return nil
}
