#pragma once
/// The coordinator's control sockets: one for local roles, and one for those who join from outside, if any.
///
/// One thread, the coordinator's.

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launch/children.hpp"
#include "role/messages.hpp"
#include "role/strangers.hpp"
#include "wire/crowd.hpp"
#include "wire/security.hpp"
#include "wire/socket.hpp"

namespace dtrain::role {

/// Where a role can be answered.
struct Address {
  std::size_t door = 0;
  std::string peer;
  bool operator==(const Address&) const = default;
};

struct Knock {
  Address from;
  wire::Message message;
};

class Doors {
 public:
  struct Outer {
    std::string listen;         ///< endpoint, "" for no outer door
    std::string token_file;     ///< where the token is written if the door speaks CURVE
    bool insecure = false;      ///< plain TCP even off loopback
    bool wanted_token = false;  ///< CURVE even on loopback
    std::size_t expected = 0;   ///< roles that are to come by it
  };
  /// Throws Error(Kind::environment) if an endpoint cannot be had.
  Doors(wire::Context& context, std::uint64_t nonce, const Outer& outer, const Log& log);

  /// For another attempt at the run: what is still on its way from the last one is dropped. The token stays as it is.
  void renew();

  const std::string& local_endpoint() const { return local_endpoint_; }
  const std::string& outer_endpoint() const { return outer_endpoint_; }
  const std::filesystem::path& folder() const { return folder_.path(); }
  bool secure() const { return token_.has_value(); }
  const wire::KeyPair& keys() const { return keys_; }
  /// What joiners from outside are handed, if the outer door speaks CURVE.
  const std::optional<wire::Token>& token() const { return token_; }

  /// Whether a join that came by this door may be admitted.
  bool admits(const Address& from, const Join& join, const wire::Message& message) const;
  /// What local children prove themselves with.
  const std::string& run_secret() const { return run_secret_; }

  bool send(const Address& to, wire::Type type, std::string_view payload, std::uint64_t rows = 0);
  std::optional<Knock> receive();
  /// The same, but whoever wants to join from outside is put back: for when the place may be about to be free.
  std::optional<Knock> receive_from_members();
  /// It is received once more, before all others.
  void put_back(Knock knock) { put_back_.push_back(std::move(knock)); }
  /// The descriptor of a connection that ended since, with its door.
  std::optional<std::pair<std::size_t, int>> disconnected();
  /// Whoever came by this message is a member and may stay.
  void let_in(const Address& from, const wire::Message& message);
  /// Whoever came by the outer door and was refused.
  Strangers& strangers() { return strangers_; }
  void set_epoch(std::uint32_t epoch) { self_.epoch = epoch; }
  const wire::Self& self() const { return self_; }
  /// Adds everything that may become readable.
  void watch(wire::Poller& poller);
  void serve();

 private:
  std::optional<Knock> receive_next();
  struct Door {
    explicit Door(wire::Socket from) : socket(std::move(from)) {}
    wire::Socket socket;
    std::unique_ptr<wire::Monitor> monitor;
    wire::Crowd crowd{stranger_patience};
  };
  static constexpr Seconds stranger_patience{30};  ///< to join, once connected
  static constexpr std::size_t most_control_bytes = std::size_t{1} << 20;
  wire::Self self_;
  launch::SocketFolder folder_;
  wire::KeyPair keys_;
  std::optional<wire::Token> token_;
  std::unique_ptr<wire::Authenticator> authenticator_;
  std::string run_secret_;
  std::deque<Door> doors_;
  std::deque<Knock> put_back_;
  std::string local_endpoint_, outer_endpoint_;
  Strangers strangers_;
  /// What of them has been told of.
  struct Noted {
    std::uint64_t connections = 0, messages = 0, too_many = 0;
  } noted_;
};

}  // namespace dtrain::role
