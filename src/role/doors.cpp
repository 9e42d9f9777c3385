#include "role/doors.hpp"

#include "base/error.hpp"
#include "base/hash.hpp"

namespace dtrain::role {

Doors::Doors(wire::Context& context, std::uint64_t nonce, const Outer& outer, const Log& log)
    : self_{wire::Role::coordinator, 0, nonce, entropy(), 0},
      keys_(wire::make_key_pair()),
      run_secret_(wire::make_secret()),
      strangers_(log) {
  using Pattern = wire::Socket::Pattern;
  Door& local = doors_.emplace_back(wire::Socket(context, Pattern::router, ""));
  local.socket.tell_losses();
  local.monitor = std::make_unique<wire::Monitor>(context, local.socket);
  local_endpoint_ = local.socket.bind("ipc://" + (folder_.path() / "c").string());
  if (outer.listen.empty()) return;
  if (outer.wanted_token || (wire::leaves_host(outer.listen) && !outer.insecure)) {
    token_ = wire::Token{keys_.public_key, wire::make_secret(), nonce};
    authenticator_ = std::make_unique<wire::Authenticator>(context);
    wire::write_token(outer.token_file, *token_);
  }
  const wire::Keys keys = wire::binding_keys(keys_, wire::Authenticator::any_key);
  Door& door = doors_.emplace_back(wire::Socket(context, Pattern::router, "", token_ ? &keys : nullptr));
  door.crowd.expect(outer.expected);
  door.socket.limit_payload(most_control_bytes);
  door.socket.tell_losses();
  door.monitor = std::make_unique<wire::Monitor>(context, door.socket);
  outer_endpoint_ = door.socket.bind(outer.listen);
}

void Doors::renew() {
  for (Door& door : doors_) door.socket.retire(self_.nonce);
  self_.nonce = entropy();
  self_.epoch = 0;
  run_secret_ = wire::make_secret();
}

bool Doors::admits(const Address& from, const Join& join, const wire::Message& message) const {
  if (from.door == 0) return same_secret(join.secret, run_secret_);
  if (!token_) return true;
  return join.public_key == message.user && wire::proves_join(*token_, message.user, join.secret);
}

bool Doors::send(const Address& to, wire::Type type, std::string_view payload, std::uint64_t rows) {
  wire::Header header;
  header.type = type;
  header.rows = rows;
  return doors_[to.door].socket.send(self_, header, payload, to.peer);
}

std::optional<Knock> Doors::receive_next() {
  for (std::size_t d = 0; d < doors_.size(); ++d)
    if (auto message = doors_[d].socket.receive(self_.nonce)) return Knock{{d, message->peer}, std::move(*message)};
  return std::nullopt;
}

std::optional<Knock> Doors::receive() {
  if (put_back_.empty()) return receive_next();
  Knock knock = std::move(put_back_.front());
  put_back_.pop_front();
  return knock;
}

std::optional<Knock> Doors::receive_from_members() {
  while (auto knock = receive_next()) {
    if (knock->from.door == 0 || knock->message.header.type != wire::Type::join) return knock;
    put_back(std::move(*knock));
  }
  return std::nullopt;
}

std::optional<std::pair<std::size_t, int>> Doors::disconnected() {
  for (std::size_t d = 0; d < doors_.size(); ++d)
    while (const auto event = doors_[d].monitor->next()) {
      if (d > 0) doors_[d].crowd.note(*event);
      if (event->what == wire::Monitor::Event::What::disconnected) return std::pair{d, event->descriptor};
    }
  return std::nullopt;
}

void Doors::watch(wire::Poller& poller) {
  for (Door& door : doors_) poller.add(door.socket), poller.add(door.monitor->get());
  if (authenticator_) poller.add(authenticator_->get());
}

void Doors::serve() {
  if (authenticator_) authenticator_->serve();
  if (doors_.size() < 2) return;
  Door& outer = doors_[1];
  outer.crowd.sweep();
  strangers_.note_total("a connection that proved no key", outer.crowd.failed(), noted_.connections);
  strangers_.note_total("a message that is none of this run's", outer.socket.refused(), noted_.messages);
  strangers_.note_total("a connection too many, or one that did not join", outer.crowd.turned_away(), noted_.too_many);
}

void Doors::let_in(const Address& from, const wire::Message& message) {
  if (from.door > 0) doors_[from.door].crowd.let_in(message.descriptor);
}

}  // namespace dtrain::role
