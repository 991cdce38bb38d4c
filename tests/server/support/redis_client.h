#pragma once

#include <hiredis/hiredis.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// hiredis with values for results. A lost connection is an exception (ConnectionLost), an error
// reply is a Reply.
namespace varve::server::test {

struct ConnectionLost : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Reply {
  int type = REDIS_REPLY_NIL;
  long long integer = 0;
  std::string text;  // of strings, statuses and errors
  std::vector<Reply> elements;

  bool is_nil() const { return type == REDIS_REPLY_NIL; }
  bool is_error() const { return type == REDIS_REPLY_ERROR; }
};

class RedisClient {
 public:
  explicit RedisClient(int port) : context_(redisConnect("127.0.0.1", port), &redisFree) {
    Check();
  }
  explicit RedisClient(const std::string& unix_path)
      : context_(redisConnectUnix(unix_path.c_str()), &redisFree) {
    Check();
  }

  Reply Call(const std::vector<std::string>& arguments) {
    Send(arguments);
    return Receive();
  }
  // One half of a pipeline each.
  void Send(const std::vector<std::string>& arguments) {
    std::vector<const char*> bytes;
    std::vector<size_t> sizes;
    for (const std::string& argument : arguments) {
      bytes.push_back(argument.data());
      sizes.push_back(argument.size());
    }
    redisAppendCommandArgv(context_.get(), static_cast<int>(bytes.size()), bytes.data(),
                           sizes.data());
  }
  Reply Receive() {
    void* raw = nullptr;
    if (redisGetReply(context_.get(), &raw) != REDIS_OK) throw ConnectionLost(context_->errstr);
    const std::unique_ptr<void, decltype(&freeReplyObject)> owner(raw, &freeReplyObject);
    return Convert(*static_cast<const redisReply*>(raw));
  }

 private:
  void Check() const {
    if (context_ == nullptr || context_->err != 0) {
      throw ConnectionLost(context_ == nullptr ? "no memory" : context_->errstr);
    }
  }
  static Reply Convert(const redisReply& raw) {
    Reply reply{.type = raw.type, .integer = raw.integer, .text = {}, .elements = {}};
    if (raw.str != nullptr) reply.text.assign(raw.str, raw.len);
    for (size_t i = 0; i < raw.elements; ++i) reply.elements.push_back(Convert(*raw.element[i]));
    return reply;
  }

  std::unique_ptr<redisContext, decltype(&redisFree)> context_;
};

}  // namespace varve::server::test
