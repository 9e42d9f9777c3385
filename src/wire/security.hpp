#pragma once
/// Who may talk to whom: key pairs, the token that joiners are handed, and the admission of connections.
///
/// Whatever leaves the host speaks CURVE (CurveCP, Bernstein 2011, as in ZMTP 3.0): both ends prove their keys. The
/// coordinator's control socket admits any key, for `join` only: a joiner shows by join_proof() that it holds the
/// token. Its key is then allowed on the data sockets, which admit listed keys only.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "wire/endpoint.hpp"
#include "wire/socket.hpp"

namespace dtrain::wire {

/// A fresh CURVE key pair, both Z85 (40 characters).
struct KeyPair {
  std::string public_key, secret_key;
};
KeyPair make_key_pair();

/// Keys for a Socket that binds (domain: of Authenticator) or that connects.
Keys binding_keys(const KeyPair& own, const std::string& domain);
Keys connecting_keys(const KeyPair& own, const std::string& server_key);

/// What a joiner is handed, outside the wire: whom to trust, which run, and the secret that lets it in.
struct Token {
  std::string coordinator_key;  ///< public, Z85
  std::string secret;           ///< 64 hex digits
  std::uint64_t nonce = 0;      ///< of the job
  std::string ticket{};         ///< of the place that is meant for who is handed it; "": any that is free
  bool held = false;            ///< whoever hands it over keeps their end of the pipe open for as long as they live
  bool operator==(const Token&) const = default;
};

/// 256 bits from the kernel, as hex.
std::string make_secret();

std::string token_text(const Token& token);
/// Written aside with mode 0600, then renamed. Throws Error(Kind::environment), also where `path` is there and no file.
void write_token(const std::filesystem::path& path, const Token& token);
/// A file or, as "-", /dev/stdin or /dev/fd/N, a descriptor, which is read up to the token's end and stays open.
/// Throws Error(Kind::environment): unreadable, not a token, or a file that group or others may read.
Token read_token(const std::string& path);
/// The descriptor that a token's path stands for, if it does.
std::optional<int> token_descriptor(const std::string& path);

/// HMAC-SHA256 over both public keys and the job's nonce: proof that `joiner_key` holds the token, worth nothing to
/// any other key or run.
std::string join_proof(const Token& token, const std::string& joiner_key);
/// Whether `proof` is the one that the sender with `user` (Message::user) owes. Takes the same time for any wrong
/// proof.
bool proves_join(const Token& token, const std::string& user, const std::string& proof);

/// Answers ZeroMQ's question whether a connection is admitted (ZAP, RFC 27). One a Context; must exist before its first
/// CURVE bind, and be polled and served: a handshake waits until serve() runs. Without it nobody is admitted.
/// Owned and used by the thread of the sockets.
class Authenticator {
 public:
  /// Domains for Keys::domain. Any other domain admits nobody.
  static constexpr const char* any_key = "dtrain-any";
  static constexpr const char* listed_keys = "dtrain-listed";

  /// Throws Error(Kind::internal) if the context has one already.
  explicit Authenticator(Context& context);

  /// Holds for handshakes from now on; a connection that stands is not cut.
  void allow(const std::string& public_key) { listed_.insert(public_key); }
  void disallow(const std::string& public_key) { listed_.erase(public_key); }

  /// Answers all that is waiting; never blocks.
  void serve();
  /// Readable when there is something to serve.
  zmq::socket_t& get() { return socket_; }
  std::uint64_t admitted() const { return admitted_; }
  std::uint64_t denied() const { return denied_; }

 private:
  bool admits(const std::string& domain, const std::string& public_key) const;

  zmq::socket_t socket_;
  std::set<std::string> listed_;
  std::uint64_t admitted_ = 0, denied_ = 0;
};

}  // namespace dtrain::wire
