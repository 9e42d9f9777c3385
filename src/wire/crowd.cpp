#include "wire/crowd.hpp"

#include <sys/socket.h>

namespace dtrain::wire {
namespace {

/// An event is told by another thread, and its descriptor may be something else by now: a file, or a listening socket.
bool is_connection(int descriptor) {
  int listens = 0, domain = 0;
  socklen_t size = sizeof listens;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens != 0) return false;
  size = sizeof domain;
  return ::getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
         (domain == AF_INET || domain == AF_INET6);
}

}  // namespace

void Crowd::note(const Monitor::Event& event) {
  using What = Monitor::Event::What;
  if (event.what == What::handshake_failed || event.what == What::cut) ++failed_;
  if (event.what == What::disconnected) standing_.erase(event.descriptor);
  if (event.what != What::connected) return;
  if (standing_.size() < most_)
    standing_[event.descriptor] = {Clock::now()};
  else
    shut(event.descriptor);
}

void Crowd::let_in(int descriptor) {
  if (const auto found = standing_.find(descriptor); found != standing_.end()) found->second.let_in = true;
}

void Crowd::sweep() {
  if (patience_.count() <= 0) return;
  for (auto at = standing_.begin(); at != standing_.end();) {
    const bool stays = at->second.let_in || Clock::now() - at->second.since < patience_;
    if (!stays) shut(at->first);
    at = stays ? std::next(at) : standing_.erase(at);
  }
}

/// By a reset, which whoever is at the other end can tell from a refusal of its key, and try again. ZeroMQ reads the
/// end of the connection and closes the descriptor itself.
void Crowd::shut(int descriptor) {
  ++turned_away_;
  if (!is_connection(descriptor)) return;
  sockaddr nowhere{};
  nowhere.sa_family = AF_UNSPEC;
  if (::connect(descriptor, &nowhere, sizeof nowhere) != 0) ::shutdown(descriptor, SHUT_RDWR);
}

}  // namespace dtrain::wire
