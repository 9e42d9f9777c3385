#include "role/link.hpp"

#include <unistd.h>

#include <cstdlib>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "launch/children.hpp"

namespace dtrain::role {
namespace {

constexpr auto beat_interval = std::chrono::milliseconds(100);

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::optional<wire::Token> token_for(const JoinRequest& request) {
  if (!request.token_file.empty()) return wire::read_token(request.token_file);
  if (wire::leaves_host(request.endpoint) && !request.insecure)
    fail(Kind::usage, "{} leaves this host: give the run's --token-file, or --insecure to go without encryption",
         request.endpoint);
  return std::nullopt;
}

wire::Socket control_socket(wire::Context& context, std::uint64_t incarnation, const wire::KeyPair& own,
                            const std::optional<wire::Token>& token) {
  const std::string identity = "join-" + hex(incarnation);
  if (!token) return wire::Socket(context, wire::Socket::Pattern::dealer, identity);
  const wire::Keys keys = wire::connecting_keys(own, token->coordinator_key);
  return wire::Socket(context, wire::Socket::Pattern::dealer, identity, &keys);
}

}  // namespace

Link::Link(wire::Context& context, const JoinRequest& request)
    : context_(context),
      request_(request),
      self_{request.role, 0, 0, entropy(), 0},
      keys_(wire::make_key_pair()),
      token_(token_for(request)),
      socket_(control_socket(context, self_.incarnation, keys_, token_)),
      monitor_(context, socket_),
      last_beat_(Clock::now()) {
  socket_.connect(request.endpoint);
}

Welcome Link::join() {
  const std::string secret = token_ ? wire::join_proof(*token_, keys_.public_key) : environment("DTRAIN_RUN");
  const Join join{request_.role, launch::host_name(), launch::cores(), ::getpid(), environment("DTRAIN_TICKET"),
                  secret,        keys_.public_key};
  wire::Header header;
  header.type = wire::Type::join;
  const Deadline deadline(request_.patience);
  while (!socket_.send(self_, header, pack(join))) {
    if (deadline.passed()) fail(Kind::formation, "nobody answers at {}", request_.endpoint);
    check_monitor();
    wire::Poller poller;
    poller.add(monitor_.get());
    poller.wait(deadline.milliseconds(100));
  }
  while (!deadline.passed()) {
    const std::optional<wire::Message> message = receive();
    if (!message) {
      wire::Poller poller;
      watch(poller);
      poller.wait(deadline.milliseconds(1000));
      continue;
    }
    if (message->header.type == wire::Type::refused) {
      const auto failure = unpack_failure(message->text());
      fail(Kind::formation, "{} refused us: {}", request_.endpoint, failure ? failure->message : "no reason was given");
    }
    if (message->header.type == wire::Type::abort)
      fail(Kind::lost, "the run at {} ended before it began", request_.endpoint);
    if (message->header.type != wire::Type::welcome) continue;
    Welcome welcome = unpack_welcome(message->text());
    self_.rank = static_cast<std::uint32_t>(welcome.rank);
    name_ = fmt::format("{} {}", wire::name(request_.role), welcome.rank);
    self_.nonce = welcome.nonce;
    self_.epoch = welcome.epoch;
    return welcome;
  }
  fail(Kind::formation, "{} for {} s{}",
       was_connected_ ? "no welcome came from " + request_.endpoint : "nobody answers at " + request_.endpoint,
       request_.patience.count(),
       was_connected_ ? "; is the run still waiting for others?"
                      : "; is the run started there, and is the address right?");
}

void Link::tell_refusal(const std::string& why) {
  const Log log(Level::normal, name_ + ": ");
  if (++told_refusals_ <= 20) log.warn("refused a message: {}", why);
}

void Link::send(wire::Type type, std::string_view payload) {
  wire::Header header;
  header.type = type;
  socket_.send(self_, header, payload);
}

void Link::beat(std::uint64_t step, Phase phase) {
  if (Clock::now() - last_beat_ >= beat_interval) flush(step, phase);
}

void Link::flush(std::uint64_t step, Phase phase) {
  last_beat_ = Clock::now();
  send(wire::Type::progress, pack(ProgressReport{step, phase, records_}));
  records_.clear();
}

void Link::check_monitor() {
  while (const auto event = monitor_.next()) {
    using What = wire::Monitor::Event::What;
    if (event->what == What::connected) was_connected_ = true;
    if (event->what == What::handshake_failed)
      fail(Kind::formation, "{} did not accept our key; is it the token file of this run?", request_.endpoint);
    if (event->what == What::disconnected && was_connected_)
      fail(Kind::lost, "the coordinator at {} is gone", request_.endpoint);
  }
}

std::optional<wire::Message> Link::receive() {
  std::optional<wire::Message> message = socket_.receive(self_.nonce);
  if (!message) check_monitor();
  return message;
}

wire::Message Link::await(std::uint64_t step, Phase phase) {
  for (;;) {
    if (auto message = receive()) return std::move(*message);
    beat(step, phase);
    wire::Poller poller;
    watch(poller);
    poller.wait(100);
  }
}

void Link::slow_data(const job::Inject& inject) {
  if (inject.slows_links() && !slow_) slow_.emplace(inject.bandwidth, Seconds(inject.latency));
}

void Link::suit_data(wire::Socket& socket) {
  if (slow_) socket.slow_down(*slow_);
}

void Link::watch(wire::Poller& poller) {
  poller.add(socket_);
  poller.add(monitor_.get());
}

}  // namespace dtrain::role
