#include "wire/mischief.hpp"

#include <sys/socket.h>

#include <charconv>
#include <filesystem>
#include <string>

namespace dtrain::wire {
namespace {

bool is_connection(int descriptor) {
  int type = 0;
  socklen_t length = sizeof type;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM) return false;
  sockaddr_storage peer{};
  length = sizeof peer;
  return ::getpeername(descriptor, reinterpret_cast<sockaddr*>(&peer), &length) == 0;
}

}  // namespace

int cut_connections(int kept) {
  constexpr int standard_streams = 3;  // which may be sockets, and are not ours
  int cut = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
    const std::string name = entry.path().filename().string();
    int descriptor = -1;
    std::from_chars(name.data(), name.data() + name.size(), descriptor);
    if (descriptor < standard_streams || descriptor == kept || !is_connection(descriptor)) continue;
    if (::shutdown(descriptor, SHUT_RDWR) == 0) ++cut;
  }
  return cut;
}

}  // namespace dtrain::wire
