#pragma once
/// Where sockets listen and connect, as text: `tcp://HOST:PORT`, `tcp://[IPV6]:PORT`, `ipc://PATH`.

#include <string>
#include <string_view>

namespace dtrain::wire {

/// Whether bytes sent by way of `endpoint` can leave this host: all but ipc, inproc, and tcp on a loopback address or
/// `localhost`. A wildcard address leaves it.
bool leaves_host(std::string_view endpoint);

/// `endpoint` with a wildcard address (0.0.0.0, [::]) replaced by this host's first address off loopback, or by
/// 127.0.0.1 if it has none; any other endpoint unchanged.
std::string reachable(const std::string& endpoint);

/// Throws Error(Kind::environment): "cannot listen on tcp://...: Address already in use; choose another port, ...".
[[noreturn]] void fail_to(std::string_view verb, const std::string& endpoint, int code);

}  // namespace dtrain::wire
