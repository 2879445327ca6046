# Asks the metadata service at a URL by cloud-init's own datasources, and prints as JSON what they make of the answers. It runs in a guest, reads and writes nothing
# of the machine's cloud-init, and configures nothing.
import base64
import json
import logging
import os
import sys
import tempfile

from cloudinit import distros, helpers, util
from cloudinit.net import eni, netplan, network_state, networkd
from cloudinit.sources import DataSourceEc2, DataSourceNoCloud

base, nic = sys.argv[1:]
logging.basicConfig(level=logging.WARNING)  # to stderr


def data(raw):
    return base64.b64encode(raw.encode() if isinstance(raw, str) else raw or b"").decode()


def ask(ds):
    if not ds.get_data():
        raise SystemExit("%s found nothing at %s" % (ds.dsname, base))
    return {
        "instance_id": ds.get_instance_id(),
        "hostname": ds.get_hostname().hostname,
        "fqdn": ds.get_hostname(fqdn=True).hostname,
        "public_keys": ds.get_public_ssh_keys(),
        "user_data": data(ds.get_userdata_raw()),
        "vendor_data": data(ds.get_vendordata_raw()),
        "network_config": ds.network_config,
        "metadata": ds.metadata,
    }


def static(config):
    """What cloud-init configures by a network-config, in its own words, and as it writes it down for each of three programs."""
    state = network_state.parse_net_config_data(config)
    out = {"addresses": [], "routes": [], "nameservers": state.dns_nameservers, "search": state.dns_searchdomains, "written": {}}
    for i in state.iter_interfaces():
        for s in i["subnets"]:
            out["addresses"].append("%s/%s" % (s["address"], s["prefix"]))
            out["routes"] += ["%s/%s via %s" % (r["network"], r["prefix"], r["gateway"]) for r in s.get("routes", [])]
        out["mtu"] = i.get("mtu")
    for name, renderer, config in [
        ("eni", eni.Renderer, {"netrules_path": None}),
        ("netplan", netplan.Renderer, {"postcmds": False}),
        ("networkd", networkd.Renderer, {}),
    ]:
        with tempfile.TemporaryDirectory() as target:
            if name == "networkd":
                os.makedirs(target + "/etc/systemd/network")
                text = "".join(renderer(config)._render_content(state).values())
            else:
                renderer(config).render_network_state(state, target=target)
                path = {"eni": "etc/network/interfaces", "netplan": "etc/netplan/50-cloud-init.yaml"}[name]
                text = util.load_file(os.path.join(target, path))
        out["written"][name] = text
    return out


with tempfile.TemporaryDirectory() as tmp:
    paths = helpers.Paths({"cloud_dir": tmp, "run_dir": tmp, "templates_dir": tmp})
    distro = distros.fetch("debian")("debian", {}, paths)

    def ec2(cloud):
        cfg = {"datasource": {"Ec2": {"metadata_urls": [base], "max_wait": 20, "timeout": 5}}}
        ds = DataSourceEc2.DataSourceEc2(cfg, distro, paths)
        ds._cloud_name = cloud  # which it reads from the machine's firmware
        ds._fallback_interface = nic
        out = ask(ds)
        if bool(ds._api_token) != (cloud == "aws"):
            raise SystemExit("a token is used: %s, on %s" % (bool(ds._api_token), cloud))
        return out

    seed = base + "/nocloud/"
    nocloud = DataSourceNoCloud.DataSourceNoCloudNet({"datasource": {"NoCloud": {"seedfrom": seed, "fs_label": None}}}, distro, paths)
    out = {"ec2": ec2("aws"), "ec2_without_token": ec2("unknown"), "nocloud": ask(nocloud)}
    if out["nocloud"]["network_config"] is None:  # versions before 24 do not ask for it over HTTP
        from cloudinit import url_helper

        out["nocloud"]["network_config"] = util.load_yaml(url_helper.readurl(seed + "network-config", timeout=5).contents)
    out["static"] = static(out["nocloud"]["network_config"])
    json.dump(out, sys.stdout)
