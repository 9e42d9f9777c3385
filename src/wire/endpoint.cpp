#include "wire/endpoint.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cerrno>
#include <memory>

#include <zmq.h>

#include "base/error.hpp"

namespace dtrain::wire {
namespace {

constexpr std::string_view tcp = "tcp://";
constexpr std::string_view ipc = "ipc://";
constexpr std::size_t longest_socket_path = 107;

/// HOST of tcp://HOST:PORT, brackets kept.
std::string host_of(std::string_view endpoint) {
  const std::string_view rest = endpoint.substr(tcp.size());
  return std::string(rest.substr(0, rest.rfind(':')));
}

bool is_loopback(std::string host) {
  if (host == "localhost") return true;
  in_addr four{};
  if (inet_pton(AF_INET, host.c_str(), &four) == 1) return (ntohl(four.s_addr) >> 24) == 127;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  in6_addr six{};
  return inet_pton(AF_INET6, host.c_str(), &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

std::string own_address() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) return "127.0.0.1";
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, &freeifaddrs);
  for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    const bool usable = (entry->ifa_flags & IFF_UP) != 0 && (entry->ifa_flags & IFF_LOOPBACK) == 0;
    if (!usable || entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
    char text[INET_ADDRSTRLEN] = {};
    if (inet_ntop(AF_INET, &address->sin_addr, text, sizeof text) != nullptr) return text;
  }
  return "127.0.0.1";
}

std::string_view remedy(int code) {
  switch (code) {
    case EADDRINUSE: return "; choose another port, or * for any";
    case EADDRNOTAVAIL:
    case ENODEV: return "; choose an address of this host, or * for all";
    case EACCES: return "; choose a port above 1023, or a folder that you may write to";
    case ENOENT: return "; the folder of the socket must exist";
    case EINVAL:
    case EPROTONOSUPPORT: return "; an endpoint reads tcp://HOST:PORT or ipc://PATH";
    default: return "";
  }
}

}  // namespace

bool leaves_host(std::string_view endpoint) {
  if (endpoint.starts_with(ipc) || endpoint.starts_with("inproc://")) return false;
  return !endpoint.starts_with(tcp) || !is_loopback(host_of(endpoint));
}

std::string reachable(const std::string& endpoint) {
  if (!endpoint.starts_with(tcp)) return endpoint;
  const std::string host = host_of(endpoint);
  if (host != "0.0.0.0" && host != "[::]") return endpoint;
  return fmt::format("{}{}{}", tcp, own_address(), endpoint.substr(tcp.size() + host.size()));
}

void fail_to(std::string_view verb, const std::string& endpoint, int code) {
  if (code == ENAMETOOLONG)
    fail(Kind::environment, "cannot {} {}: a socket's path may have {} bytes, this one has {}; use a shorter folder",
         verb, endpoint, longest_socket_path, endpoint.size() - ipc.size());
  fail(Kind::environment, "cannot {} {}: {}{}", verb, endpoint, zmq_strerror(code), remedy(code));
}

}  // namespace dtrain::wire
