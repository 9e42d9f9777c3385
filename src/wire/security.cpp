#include "wire/security.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/json.hpp"
#include "base/text.hpp"

namespace dtrain::wire {
namespace {

constexpr std::size_t key_bytes = 32;
constexpr std::size_t key_characters = 40;

std::string z85(const void* key) {
  std::array<char, key_characters + 1> text{};
  zmq_z85_encode(text.data(), static_cast<const std::uint8_t*>(key), key_bytes);
  return text.data();
}

bool is_key(const std::string& text) {
  std::array<std::uint8_t, key_bytes> key{};
  return text.size() == key_characters && zmq_z85_decode(key.data(), text.c_str()) != nullptr;
}

bool is_hex(const std::string& text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

[[noreturn]] void fail_token(const std::filesystem::path& path, int code) {
  throw Error(Kind::environment, with_errno(fmt::format("cannot write the token file {}", path.string()), code));
}

void write_private(int fd, const std::string& text, const std::filesystem::path& path) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = ::write(fd, text.data() + done, text.size() - done);
    if (written < 0 && errno != EINTR) fail_token(path, errno);
    if (written > 0) done += static_cast<std::size_t>(written);
  }
  if (::fsync(fd) != 0) fail_token(path, errno);
}

[[noreturn]] void fail_reading(const std::string& path, int code) {
  throw Error(Kind::environment, with_errno(fmt::format("cannot read the token file {}", path), code));
}

/// Sockets and terminals have no others who could read along.
void refuse_if_others_can_read(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail_reading(path, errno);
  if (S_ISDIR(info.st_mode)) fail_reading(path, EISDIR);
  if (!S_ISREG(info.st_mode) && !S_ISFIFO(info.st_mode)) return;
  if (const auto mode = info.st_mode & 07777u; (mode & 077u) != 0)
    fail(Kind::environment, "the token file {} is open to others (mode {:04o}): chmod 600 {}", path, mode, path);
}

/// As much as makes a token, or all there is.
std::string read_text(int fd, const std::string& path) {
  constexpr std::size_t longest = 4096;
  std::string text;
  while (text.size() < longest && !Json::accept(text)) {
    char bytes[512];
    const ssize_t got = ::read(fd, bytes, sizeof bytes);
    if (got < 0 && errno != EINTR) fail_reading(path, errno);
    if (got == 0) break;
    if (got > 0) text.append(bytes, static_cast<std::size_t>(got));
  }
  return text;
}

/// Checked and read by one descriptor, so that nobody can change the file in between.
std::string read_private(const std::string& path) {
  const std::optional<int> given = token_descriptor(path);
  const int fd = given ? *given : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail_reading(path, errno);
  const std::shared_ptr<void> closer(nullptr, [&](void*) {
    if (!given) ::close(fd);
  });
  refuse_if_others_can_read(fd, path);
  return read_text(fd, path);
}

Token parse_token(const std::string& text) {
  const Json json = Json::parse(text);
  const std::string nonce = json.at("nonce");
  Token token{json.at("coordinator_key"), json.at("secret"), 0};
  if (!is_key(token.coordinator_key) || !is_hex(token.secret, 64) || !is_hex(nonce, 16))
    fail(Kind::environment, "a key, the secret or the nonce is malformed");
  token.nonce = std::stoull(nonce, nullptr, 16);
  token.ticket = json.value("ticket", "");
  token.held = json.value("held", false);
  if (!token.ticket.empty() && !is_hex(token.ticket, 64)) fail(Kind::environment, "the ticket is malformed");
  return token;
}

std::vector<zmq::message_t> receive_request(zmq::socket_t& socket) {
  std::vector<zmq::message_t> frames;
  do {
    zmq::message_t frame;
    if (zmq_msg_recv(frame.handle(), socket.handle(), ZMQ_DONTWAIT) < 0) {
      if (errno == EINTR) continue;
      return {};
    }
    frames.push_back(std::move(frame));
  } while (frames.empty() || frames.back().more());
  return frames;
}

void send_reply(zmq::socket_t& socket, const std::vector<std::string>& frames) {
  for (std::size_t k = 0; k < frames.size(); ++k) {
    const int flags = ZMQ_DONTWAIT | (k + 1 < frames.size() ? ZMQ_SNDMORE : 0);
    while (zmq_send(socket.handle(), frames[k].data(), frames[k].size(), flags) < 0)
      if (errno != EINTR) return;  // the connection that asked is gone
  }
}

}  // namespace

KeyPair make_key_pair() {
  std::array<char, key_characters + 1> public_key{}, secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0)
    fail(Kind::environment, "this ZeroMQ was built without CURVE: encrypted links are not available");
  return {public_key.data(), secret_key.data()};
}

Keys binding_keys(const KeyPair& own, const std::string& domain) {
  return {own.public_key, own.secret_key, "", domain};
}

Keys connecting_keys(const KeyPair& own, const std::string& server_key) {
  return {own.public_key, own.secret_key, server_key, ""};
}

std::string make_secret() {
  std::string secret;
  for (int k = 0; k < 4; ++k) secret += hex(entropy());
  return secret;
}

std::string token_text(const Token& token) {
  Json json = {{"coordinator_key", token.coordinator_key}, {"nonce", hex(token.nonce)}, {"secret", token.secret}};
  if (!token.ticket.empty()) json["ticket"] = token.ticket;
  if (token.held) json["held"] = true;
  return json.dump(2) + "\n";
}

void write_token(const std::filesystem::path& path, const Token& token) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
    fail(Kind::environment, "cannot write the token file {}: it is there and no regular file; choose another name",
         path.string());
  std::string aside = path.string() + ".XXXXXX";
  const int fd = ::mkostemp(aside.data(), O_CLOEXEC);  // creates with mode 0600
  if (fd < 0) fail_token(path, errno);
  try {
    write_private(fd, token_text(token), path);
    if (::rename(aside.c_str(), path.c_str()) != 0) fail_token(path, errno);
  } catch (...) {
    ::close(fd);
    ::unlink(aside.c_str());
    throw;
  }
  ::close(fd);
}

std::optional<int> token_descriptor(const std::string& path) {
  if (path == "-" || path == "/dev/stdin") return STDIN_FILENO;
  for (const std::string_view folder : {"/dev/fd/", "/proc/self/fd/"})
    if (path.starts_with(folder))
      if (const auto number = parse_integer(path.substr(folder.size())); number && *number >= 0 && *number < 1 << 20)
        return static_cast<int>(*number);
  return std::nullopt;
}

Token read_token(const std::string& path) {
  const std::string text = read_private(path);
  try {
    return parse_token(text);
  } catch (const Json::exception&) {
    fail(Kind::environment, "{} is not a token file", path);
  } catch (Error& error) {
    throw error.during(fmt::format("reading the token file {}", path));
  }
}

std::string join_proof(const Token& token, const std::string& joiner_key) {
  const std::string message =
      fmt::format("dtrain join 1\n{}\n{}\n{}\n", token.coordinator_key, joiner_key, hex(token.nonce));
  return hmac_sha256(token.secret, message);
}

bool proves_join(const Token& token, const std::string& user, const std::string& proof) {
  return is_key(user) && same_secret(join_proof(token, user), proof);
}

Authenticator::Authenticator(Context& context) : socket_(context.get(), ZMQ_REP) {
  socket_.set(zmq::sockopt::linger, 0);
  if (zmq_bind(socket_.handle(), "inproc://zeromq.zap.01") != 0)
    fail(Kind::internal, "a ZeroMQ context has one authenticator: {}", zmq_strerror(errno));
}

bool Authenticator::admits(const std::string& domain, const std::string& public_key) const {
  return domain == any_key || (domain == listed_keys && listed_.count(public_key) != 0);
}

/// Frames of a request: version, request id, domain, address, identity, mechanism, key.
void Authenticator::serve() {
  for (;;) {
    const auto request = receive_request(socket_);
    if (request.empty()) return;
    const bool sound = request.size() == 7 && request[0].to_string_view() == "1.0" &&
                       request[5].to_string_view() == "CURVE" && request[6].size() == key_bytes;
    const std::string user = sound ? z85(request[6].data()) : std::string();
    const bool admitted = sound && admits(request[2].to_string(), user);
    ++(admitted ? admitted_ : denied_);
    const std::string id = request.size() > 1 ? request[1].to_string() : std::string();
    send_reply(socket_, {"1.0", id, admitted ? "200" : "400", admitted ? "OK" : "key not admitted", user, ""});
  }
}

}  // namespace dtrain::wire
