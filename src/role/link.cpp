#include "role/link.hpp"

#include <unistd.h>

#include <cstdlib>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/log.hpp"
#include "launch/children.hpp"

namespace dtrain::role {
namespace {

/// In a row, until it must be our key. A reset may be read as the end of the connection, which a wrong key ends in too.
constexpr int most_failed_handshakes = 20;
/// To whoever listens still. ZeroMQ tries ten times a second.
constexpr Seconds reconnects_within{2};
constexpr auto beat_interval = std::chrono::milliseconds(100);

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

wire::Socket control_socket(wire::Context& context, std::uint64_t incarnation, const wire::KeyPair& own,
                            const std::optional<wire::Token>& token) {
  const std::string identity = "join-" + hex(incarnation);
  if (!token) return wire::Socket(context, wire::Socket::Pattern::dealer, identity);
  const wire::Keys keys = wire::connecting_keys(own, token->coordinator_key);
  return wire::Socket(context, wire::Socket::Pattern::dealer, identity, &keys);
}

}  // namespace

std::optional<wire::Token> token_for(const JoinRequest& request) {
  if (!request.token_file.empty()) return wire::read_token(request.token_file);
  if (wire::leaves_host(request.endpoint) && !request.insecure)
    fail(Kind::usage, "{} leaves this host: give the run's --token-file, or --insecure to go without encryption",
         request.endpoint);
  return std::nullopt;
}

Link::Link(wire::Context& context, const JoinRequest& request, std::optional<wire::Token> token, bool anew)
    : context_(context),
      request_(request),
      self_{request.role, 0, 0, entropy(), 0},
      keys_(wire::make_key_pair()),
      token_(std::move(token)),
      socket_(control_socket(context, self_.incarnation, keys_, token_)),
      monitor_(context, socket_),
      heard_(anew),
      last_beat_(Clock::now()) {
  if (anew) unheard_ = Deadline(reconnects_within);
  socket_.connect(request.endpoint);
}

/// Until we are in, nobody but our stdin tells us that whoever started us from another host has gone.
void Link::check_launcher() {
  if (token_ && token_->held && launch::input_ended(*wire::token_descriptor(request_.token_file)))
    fail(Kind::lost, "the run at {} is gone, or our connection to where it was started", request_.endpoint);
}

Welcome Link::join() {
  const std::string secret = token_ ? wire::join_proof(*token_, keys_.public_key) : environment("DTRAIN_RUN");
  const std::string ticket = token_ && !token_->ticket.empty() ? token_->ticket : environment("DTRAIN_TICKET");
  const Join join{request_.role, launch::host_name(), launch::cores(), ::getpid(), ticket, secret, keys_.public_key};
  wire::Header header;
  header.type = wire::Type::join;
  const Deadline deadline(request_.patience);
  while (!deadline.passed()) {
    if (!asked_) asked_ = socket_.send(self_, header, pack(join));
    const std::optional<wire::Message> message = receive();
    if (!message) {
      check_launcher();
      wire::Poller poller;
      watch(poller);
      poller.wait(deadline.milliseconds(asked_ ? 500 : 100));
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
    welcomed_ = true;
    self_.rank = static_cast<std::uint32_t>(welcome.rank);
    name_ = fmt::format("{} {}", wire::name(request_.role), welcome.rank);
    self_.nonce = welcome.nonce;
    self_.epoch = welcome.epoch;
    if (!welcome.chaos.empty())
      chaos_.emplace(*this, FaultClock(parse_chaos(welcome.chaos), request_.role, welcome.rank, welcome.life));
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
  if (Clock::now() - last_beat_ < beat_interval) return;
  flush(step, phase);
  tails_.tell(self_);
}

void Link::flush(std::uint64_t step, Phase phase) {
  last_beat_ = Clock::now();
  send(wire::Type::progress, pack(ProgressReport{step, phase, records_}));
  records_.clear();
}

void Link::check_monitor() {
  while (const auto event = monitor_.next()) {
    using What = wire::Monitor::Event::What;
    if (event->what == What::connected) control_descriptor_ = event->descriptor;
    if (event->what == What::ready) was_connected_ = heard_ = true;  // before that, who is turned away tries again
    if (event->what == What::ready || event->what == What::cut) failed_handshakes_ = 0;
    // Too many others are there, or so it seems: ZeroMQ connects anew.
    const bool failed = event->what == What::handshake_failed;
    if (event->what == What::cut || (failed && event->tried_again && ++failed_handshakes_ < most_failed_handshakes))
      was_connected_ = false;
    else if (failed)
      fail(Kind::formation, "{} did not accept our key; is it the token file of this run?", request_.endpoint);
    if (event->what == What::disconnected && was_connected_) {
      if (welcomed_) fail(Kind::lost, "the coordinator at {} is gone", request_.endpoint);
      asked_ = false;  // turned away with many others, perhaps
    }
    if (event->what == What::connected)
      unheard_.reset();
    else if (event->what != What::ready && heard_ && !unheard_)
      unheard_ = Deadline(reconnects_within);
  }
  if (unheard_ && unheard_->passed()) fail(Kind::lost, "the coordinator at {} is gone", request_.endpoint);
}

void Link::confess(const Confession& confession) {
  send(wire::Type::chaos, pack(confession));
  const Deadline patience(Seconds(5));
  while (confession.waits && !patience.passed()) {
    while (auto message = socket_.receive(self_.nonce)) {
      if (message->header.type == wire::Type::chaos) return;
      early_.push_back(std::move(*message));
    }
    wire::Poller poller;
    poller.add(socket_);
    poller.wait(patience.milliseconds(1000));
  }
}

std::optional<wire::Message> Link::receive() {
  std::optional<wire::Message> message;
  if (early_.empty()) {
    message = socket_.receive(self_.nonce);
  } else {
    message = std::move(early_.front());
    early_.pop_front();
  }
  if (!message) check_monitor();
  if (message && message->header.type == wire::Type::again) throw Again{};
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
  const bool wanted = inject.slows_links() || (chaos_ && chaos_->delays());
  if (wanted && !slow_) slow_.emplace(inject.bandwidth, Seconds(inject.latency));
}

void Link::suit_data(wire::Socket& socket) {
  if (slow_) socket.slow_down(*slow_);
  if (chaos_ && chaos_->meddles()) socket.suffer(chaos_->mischief());
  socket.mind_tail(tails_);
}

void Link::watch(wire::Poller& poller) {
  poller.add(socket_);
  poller.add(monitor_.get());
}

}  // namespace dtrain::role
