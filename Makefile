# pixelvault - one Makefile, non-recursive, no configure step.
#   make demo    installs what is missing, builds, and shows the main job against a bundled TikTok emulator
#   make test    the same set-up, then the tests
# CC=clang picks the other compiler, SAN=address,undefined the sanitizers, each in a build folder of its own;
# WERROR=1 (or CI=true) makes warnings errors.
comma  := ,
CC     ?= cc
ifeq ($(origin CC),default)
CC     := gcc
endif
BUILD  ?= build$(addprefix -,$(filter-out gcc cc,$(notdir $(CC))))$(addprefix -,$(subst $(comma),-,$(SAN)))
PREFIX ?= /usr/local
PYTHON ?= python3
CFLAGS ?= -O2 -g

WARN  := -Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wvla -Werror=format -Werror=unused-result \
         $(if $(filter-out 0,$(WERROR))$(filter true,$(CI)),-Werror)
# Flags that some compilers lack are tried one by one, once per compiler: build/flags.mk keeps the answer.
TRY   := -fstack-protector-strong -fstack-clash-protection -fcf-protection -ftrivial-auto-var-init=zero \
         -fzero-call-used-regs=used-gpr -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections
# A static program that relocates itself. inih was compiled for glibc, and names a function that later ones of musl have by
# another name only.
MUSL_LD := -static -nostartfiles -Wl,-pie,--no-dynamic-linker,-z,text,--defsym=fopen64=fopen
TRYLD := -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,pack-relative-relocs -Wl,--gc-sections -Wl,--as-needed

# No folder of the build stands in what is built: two builds are equal, byte for byte (make reproducible).
override CPPFLAGS += -I. -D_GNU_SOURCE -ffile-prefix-map=$(CURDIR)=. $(if $(SAN),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
override CFLAGS   += -std=c17 -MMD -MP $(WARN) $(HARDEN) \
                     $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer) $(COVERAGE)
override LDFLAGS  += $(HARDEN_LD) $(if $(SAN),-fsanitize=$(SAN)) $(COVERAGE)

# The programs link the small libraries from their static archives where the system has them: loading four shared
# libraries costs more than a whole `get`. libcurl, cJSON, libmicrohttpd and libseccomp go into vault-agent only.
STATIC := $(if $(findstring /,$(shell $(CC) -print-file-name=libsodium.a)$(shell $(CC) -print-file-name=libsqlite3.a)),yes)
SMALL  := $(if $(STATIC),-Wl$(comma)-Bstatic -lsodium -lsqlite3 -linih -Wl$(comma)-Bdynamic -lm,-lsodium -lsqlite3 -linih -lm)
NET    := -lcurl -lcjson -lmicrohttpd -lseccomp -lpthread

HOUSE    := $(wildcard core/*.c vault/*.c agent/*.c)
NO_MATH  := cli/no_math.c
CLI      := $(filter-out $(NO_MATH),$(wildcard cli/*.c))
UNIT     := $(wildcard tests/unit/test_*.c)
FUZZ     := $(wildcard tests/fuzz/fuzz_*.c)
SUPPORT  := $(wildcard tests/support/*.c)
PRELOAD  := $(wildcard tests/preload/*.c)
EMULATOR := $(wildcard tests/emulator/*.c)
BENCH    := $(wildcard bench/*.c)
obj       = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
# build/vault is a small front: what `get` and `run` through an agent need. It becomes build/vault-whole on first need
# (cli/whole.h). Its own variables come first and the large ones of main.c last, so that those it writes to share a page.
# Most of a small program's time is glibc's start (a hundred instructions that trap on a virtual machine), so where musl-gcc
# is there (MUSL_DIR) the front is a static program on musl; elsewhere, and under sanitizers, it is on glibc like the rest.
# It takes sections of these files; what it leaves may refer to anything.
FRONT     := $(addprefix core/,process.c secret.c buf.c clock.c config.c error.c file.c json.c utf8.c wipe.c) \
             vault/credential.c vault/health.c $(addprefix agent/,client.c reply.c settings.c sinks.c alert_message.c) \
             $(addprefix cli/,front.c options.c output.c remote.c source.c main.c)
NO_MATH_OBJ := $(if $(STATIC),$(if $(SAN),,$(call obj,$(NO_MATH))))
AGENT_OBJ := $(call obj,$(HOUSE))
LIB       := $(BUILD)/libpixelvault.a
LIB_OBJ   := $(call obj,$(filter-out agent/main.c,$(HOUSE)) $(filter-out cli/main.c cli/whole_main.c,$(CLI)))
UNIT_BIN  := $(patsubst %.c,$(BUILD)/%,$(UNIT))
REPLAY    := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/replay_%,$(FUZZ))
FUZZ_BIN  := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(FUZZ))
SUP_BIN   := $(patsubst tests/support/%.c,$(BUILD)/tests/%,$(SUPPORT))
PRE_SO    := $(patsubst tests/preload/%.c,$(BUILD)/tests/%.so,$(if $(SAN),tests/preload/oom.c,$(PRELOAD)))
BENCH_BIN := $(patsubst bench/%.c,$(BUILD)/bench/%,$(BENCH))
EMU_BIN   := $(if $(EMULATOR),$(BUILD)/tests/tiktok-emulator)

all: $(BUILD)/vault $(BUILD)/vault-whole $(BUILD)/vault-agent

$(BUILD)/flags.mk: Makefile
	@mkdir -p $(@D)
	@ok() { echo 'int main(void){return 0;}' | $(CC) $$1 -Werror -x c - -o /dev/null >/dev/null 2>&1; }; \
	 for f in $(TRY); do ok $$f && c="$$c $$f"; done; \
	 for f in $(TRYLD); do ok "-fPIC $$f" && l="$$l $$f"; done; \
	 m=$$(REALGCC=$(lastword $(CC)) musl-gcc '-###' -x c /dev/null -o /dev/null 2>&1 | sed -n 's|.* \(/[^ ]*\)/Scrt1\.o .*|\1|p'); \
	 printf '#include <unistd.h>\n#ifdef __GLIBC__\n#error glibc\n#endif\nint ini_parse_stream();int (*volatile it)()=ini_parse_stream;int main(void){return it != 0;}\n' | \
	     REALGCC=$(lastword $(CC)) musl-gcc -fPIC -x c - -x none $(MUSL_LD) $$m/rcrt1.o $$m/crti.o \
	     $$($(CC) -print-file-name=libinih.a) $$m/crtn.o -o $@.try >/dev/null 2>&1; $@.try 2>/dev/null; [ $$? = 1 ] || m=; rm -f $@.try; \
	 printf 'HARDEN := %s\nHARDEN_LD := %s\nMUSL_DIR := %s\n' "$$c" "$$l" "$$m" >$@
# Those that only install or start other makes do not ask: what they ask of may be missing yet.
ifneq ($(filter-out clean deps layers demo test,$(or $(MAKECMDGOALS),all)),)
include $(BUILD)/flags.mk
endif

# Whether the libraries are there, and new enough, is seen before the first line is compiled.
$(BUILD)/libraries.checked: packaging/libraries.py
	@mkdir -p $(@D)
	@$(PYTHON) packaging/libraries.py check
	@touch $@
$(BUILD)/obj/%.o: %.c | $(BUILD)/libraries.checked
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -c $< -o $@

# The front comes last: a build folder that has it has all of it.
ifneq ($(and $(MUSL_DIR),$(STATIC),$(if $(SAN)$(COVERAGE),,yes)),)
FRONT_OBJ := $(patsubst %.c,$(BUILD)/front/%.o,$(FRONT))
FRONT_CC  := REALGCC=$(lastword $(CC)) $(filter-out $(lastword $(CC)),$(CC)) musl-gcc
# musl before 1.2.4 knows no packed relocations.
FRONT_LD  := $(filter-out -pie %pack-relative-relocs,$(LDFLAGS)) $(MUSL_LD) -Wl,--build-id $(addprefix $(MUSL_DIR)/,rcrt1.o crti.o)
# The headers of two libraries, without glibc's, which lie in the same folder.
$(BUILD)/front/headers: | $(BUILD)/libraries.checked
	@mkdir -p $(@D)/include && ini=$$(pkg-config --variable=includedir inih) && \
	 sodium=$$(pkg-config --variable=includedir libsodium) && \
	 ln -sfn $$ini/ini.h $$sodium/sodium.h $$sodium/sodium $(@D)/include && touch $@
$(BUILD)/front/%.o: %.c | $(BUILD)/front/headers
	@mkdir -p $(@D)
	$(FRONT_CC) $(CPPFLAGS) $(CFLAGS) -include core/musl.h -idirafter $(BUILD)/front/include -c $< -o $@
$(BUILD)/vault: $(FRONT_OBJ) | $(BUILD)/vault-whole
	$(FRONT_CC) $(CFLAGS) $(FRONT_LD) $(FRONT_OBJ) $(shell $(CC) -print-file-name=libinih.a) $(MUSL_DIR)/crtn.o -o $@
else
FRONT_OBJ := $(call obj,$(FRONT))
$(BUILD)/vault: $(FRONT_OBJ) | $(BUILD)/vault-whole
	$(CC) $(CFLAGS) $(LDFLAGS) $(FRONT_OBJ) $(SMALL) -o $@
endif
$(BUILD)/vault-whole: $(call obj,cli/whole_main.c) $(LIB) $(NO_MATH_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(SMALL) -o $@
$(BUILD)/vault-agent: $(AGENT_OBJ)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(SMALL) $(NET) -o $@
$(LIB): $(LIB_OBJ)
	@rm -f $@; $(AR) rcs $@ $^
$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(BUILD)/obj/tests/unit/only.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $< $(BUILD)/obj/tests/unit/only.o $(LIB) $(SMALL) $(NET) -lcmocka -o $@
$(BUILD)/tests/fuzz/replay_%: $(BUILD)/obj/tests/fuzz/%.o $(BUILD)/obj/tests/fuzz/replay.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $(BUILD)/obj/tests/fuzz/$*.o $(BUILD)/obj/tests/fuzz/replay.o $(LIB) $(SMALL) $(NET) -o $@
$(BUILD)/tests/tiktok-emulator: $(call obj,$(EMULATOR))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ -lgnutls -lcjson -lpthread -o $@
$(BUILD)/tests/stand_in: $(BUILD)/obj/tests/support/stand_in.o $(BUILD)/obj/tests/support/agent_by_clock.o $(LIB)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(SMALL) $(NET) -o $@
$(BUILD)/tests/send_alert: $(BUILD)/obj/tests/support/send_alert.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $< $(LIB) $(SMALL) $(NET) -o $@
$(BUILD)/tests/page_maker: $(BUILD)/obj/tests/support/page_maker.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $< $(LIB) $(SMALL) $(NET) -o $@
$(BUILD)/tests/agent_by_clock: $(BUILD)/obj/tests/support/agent_by_clock.o $(AGENT_OBJ)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ $(SMALL) $(NET) -o $@
# What stands in for the C library's functions is no place for a sanitizer.
$(PRE_SO) $(call obj,$(PRELOAD)): override CFLAGS := $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(CFLAGS))
$(PRE_SO): override LDFLAGS := $(filter-out -fsanitize=%,$(LDFLAGS))
$(BUILD)/tests/%.so: $(BUILD)/obj/tests/preload/%.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(filter-out -pie,$(LDFLAGS)) -shared $< -o $@
$(BUILD)/tests/%: $(BUILD)/obj/tests/support/%.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $< -o $@
$(BUILD)/bench/%: $(BUILD)/obj/bench/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $< $(LIB) $(SMALL) $(NET) -o $@
.SECONDARY:

# ---- the README's two commands ----
deps:
	@sh packaging/deps.sh
demo: deps
	@$(MAKE) --no-print-directory -s -j2 all $(EMU_BIN)
	@sh examples/demo.sh $(BUILD)
test: deps layers
	@sh packaging/deps.sh browser
	@sh packaging/deps.sh tpm
	@sh packaging/deps.sh clocks
	@$(MAKE) --no-print-directory -s -j2 all test-programs
	@BUILD=$(BUILD) PYTHON=$(PYTHON) sh tests/run.sh $(ONLY)
test-programs: $(UNIT_BIN) $(REPLAY) e2e-programs
e2e-programs: all $(EMU_BIN) $(SUP_BIN) $(PRE_SO)

screenshot: all test-programs
	@BUILD=$(BUILD) $(PYTHON) tests/screenshot.py docs/board.png

check-san:
	@$(MAKE) --no-print-directory test SAN=address,undefined
reproducible:
	@sh tests/reproducible.sh

# ---- what is inside: libraries that are linked from archives, and those that are loaded ----
sbom: $(BUILD)/pixelvault.spdx.json
	@$(PYTHON) packaging/libraries.py list $(BUILD)
	@echo "the bill of materials: $<"
$(BUILD)/pixelvault.spdx.json: $(BUILD)/vault $(BUILD)/vault-whole $(BUILD)/vault-agent packaging/libraries.py
	@CC="$(CC)" $(PYTHON) packaging/libraries.py sbom $(BUILD) >$@.new && mv $@.new $@
sabotage:
	@$(PYTHON) tests/sabotage.py $(ONLY)
power-loss:
	@$(MAKE) --no-print-directory -s -j2 all test-programs
	@BUILD=$(BUILD) POWER_STATES=$(POWER_STATES) $(PYTHON) tests/e2e/run.py test_power_loss
crash:
	@$(MAKE) --no-print-directory -s -j2 e2e-programs
	@BUILD=$(BUILD) CRASH_EVERY=$(CRASH_EVERY) PYTHON=$(PYTHON) sh tests/crash.sh
hygiene:
	@$(MAKE) --no-print-directory -s -j2 e2e-programs
	@HYGIENE=1 BUILD=$(BUILD) $(PYTHON) tests/e2e/run.py test_hygiene test_agent_hygiene test_swap_file test_journal
# Each byte of a vault's file, and each bit of each value in it: two processes beside each other.
tamper: $(BUILD)/tests/unit/test_bits
	@export BITS_EVERY=1; CMOCKA_ONLY='file__*' $< & CMOCKA_ONLY='value__*' $<; value=$$?; wait $$! && exit $$value
concurrency:
	@$(MAKE) --no-print-directory -s -j2 e2e-programs
	@OPERATIONS=$(OPERATIONS) BUILD=$(BUILD) $(PYTHON) tests/e2e/run.py test_increments.Increments
# Allocations and file calls of every verb fail; FAULTS=all: at each point, FAULTS=n: at n of a verb, SEED=n: at the same once more.
faults:
	@$(MAKE) --no-print-directory -s -j2 all test-programs
	@BUILD=$(BUILD) FAULTS=$(FAULTS) $(PYTHON) tests/faults.py $(ONLY)
valgrind: all test-programs
	@BUILD=$(BUILD) sh tests/valgrind.sh

POWER_STATES ?= 50000
OPERATIONS   ?= 1000

# ---- proofs about the source ----
layers:
	@sh tests/layers.sh
lint:
	@CC="$(CC)" sh tests/lint.sh

# ---- fuzzing: make fuzz runs all for a minute together, fuzz-config one for a minute (FUZZ_SECONDS=n), fuzz-long each for an hour or FUZZ_RUNS runs ----
FUZZ_CC      ?= clang
FUZZ_SECONDS ?= 60
FUZZ_BUILD   := $(BUILD)-fuzz
FUZZ_MAKE     = $(MAKE) --no-print-directory -s -j2 BUILD=$(FUZZ_BUILD) CC="$(FUZZ_CC)" SAN=address,undefined COVERAGE= \
                CFLAGS="-O1 -g -fsanitize=fuzzer-no-link" LIBFUZZER=-fsanitize=fuzzer
$(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/obj/tests/fuzz/fuzz_%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) $(LIBFUZZER) $< $(LIB) $(SMALL) $(NET) -o $@
fuzz-programs: $(FUZZ_BIN)
fuzz:
	@sh packaging/deps.sh clang
	@$(FUZZ_MAKE) fuzz-programs
	@BUILD=$(FUZZ_BUILD) $(PYTHON) tests/fuzz/fuzz.py run $(ONLY)
fuzz-long:
	@sh packaging/deps.sh clang
	@$(FUZZ_MAKE) fuzz-programs
	@BUILD=$(FUZZ_BUILD) FUZZ_SECONDS=3600 FUZZ_RUNS=$(FUZZ_RUNS) $(PYTHON) tests/fuzz/fuzz.py each $(ONLY)
fuzz-planted:
	@sh packaging/deps.sh clang
	@$(FUZZ_MAKE) fuzz-programs
	@BUILD=$(FUZZ_BUILD) FUZZ_CC="$(FUZZ_CC)" $(PYTHON) tests/fuzz/planted.py $(ONLY)
fuzz-grow:
	@sh packaging/deps.sh clang
	@$(FUZZ_MAKE) fuzz-programs
	@BUILD=$(FUZZ_BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTHON) tests/fuzz/fuzz.py grow $(ONLY)
fuzz-%:
	@sh packaging/deps.sh clang
	@$(FUZZ_MAKE) $(FUZZ_BUILD)/tests/fuzz/fuzz_$*
	@BUILD=$(FUZZ_BUILD) FUZZ_SECONDS=$(FUZZ_SECONDS) $(PYTHON) tests/fuzz/fuzz.py each =$*

# ---- the same targets under AFL++, AFL_SECONDS each ----
AFL_MAKE = $(MAKE) --no-print-directory -s -j2 BUILD=$(BUILD)-afl CC=afl-clang-fast SAN= COVERAGE= CFLAGS="-O1 -g" \
           LIBFUZZER=-fsanitize=fuzzer
afl:
	@sh packaging/deps.sh afl
	@AFL_QUIET=1 $(AFL_MAKE) fuzz-programs
	@BUILD=$(BUILD)-afl $(PYTHON) tests/fuzz/afl.py $(ONLY)

# ---- coverage: counters in files that the programs map, so that neither sandbox nor kill -9 loses them ----
COVER_BUILD := $(BUILD)-cover
COVER_MAKE   = $(MAKE) --no-print-directory -s -j2 BUILD=$(COVER_BUILD) CC="$(FUZZ_CC)" CFLAGS="-O1 -g" \
               COVERAGE="-fprofile-instr-generate=$(abspath $(COVER_BUILD))/profiles/%m%c.profraw -fcoverage-mapping \
               -mllvm -runtime-counter-relocation -fprofile-update=atomic -Wno-unused-command-line-argument"
fuzz-coverage:
	@sh packaging/deps.sh clang
	@$(COVER_MAKE) all $(patsubst $(BUILD)/%,$(COVER_BUILD)/%,$(REPLAY))
	@BUILD=$(COVER_BUILD) $(PYTHON) tests/coverage.py corpora
coverage:
	@sh packaging/deps.sh clang
	@sh packaging/deps.sh browser
	@sh packaging/deps.sh tpm
	@$(COVER_MAKE) all test-programs
	@BUILD=$(COVER_BUILD) PYTHON=$(PYTHON) $(PYTHON) tests/coverage.py all $(ONLY)

bench: all $(EMU_BIN) $(BENCH_BIN)
	@BUILD=$(BUILD) PYTHON=$(PYTHON) sh bench/run.sh $(ONLY)
bench-peers: all $(EMU_BIN) $(BENCH_BIN)
	@BUILD=$(BUILD) SIZES=10 PYTHON=$(PYTHON) sh bench/run.sh peers
bench-chart:
	@$(PYTHON) bench/chart.py $(BUILD)/bench-results.json docs/bench.svg
soak: all test-programs
	@BUILD=$(BUILD) SOAK_SECONDS=$(SOAK_SECONDS) $(PYTHON) tests/soak.py
SOAK_SECONDS ?= 21600
crash-all: all test-programs
	@SOAK=1 BUILD=$(BUILD) $(PYTHON) tests/e2e/run.py test_crash test_concurrency test_locks test_races test_check_pace

# ---- installing: pixelvault and pixelvault-agent, and a plain `vault` unless another one is on PATH ----
# The units name the program as it will be found (PREFIX); sysusers.d makes the user they run as.
BIN   := $(DESTDIR)$(PREFIX)/bin
LIBD  := $(DESTDIR)$(PREFIX)/lib
UNITS := $(notdir $(wildcard packaging/systemd/*.service packaging/systemd/*.socket packaging/systemd/*.timer))
install: all $(BUILD)/pixelvault.spdx.json
	install -D -m 755 $(BUILD)/vault-whole $(LIBD)/pixelvault/pixelvault-whole
	install -D -m 755 $(BUILD)/vault $(BIN)/pixelvault
	install -D -m 755 $(BUILD)/vault-agent $(BIN)/pixelvault-agent
	install -D -m 644 packaging/man/pixelvault.1 $(DESTDIR)$(PREFIX)/share/man/man1/pixelvault.1
	install -D -m 644 packaging/man/pixelvault-agent.8 $(DESTDIR)$(PREFIX)/share/man/man8/pixelvault-agent.8
	install -D -m 644 packaging/man/pixelvault.ini.5 $(DESTDIR)$(PREFIX)/share/man/man5/pixelvault.ini.5
	install -D -m 644 examples/pixelvault.ini $(DESTDIR)$(PREFIX)/share/doc/pixelvault/pixelvault.ini
	install -D -m 644 $(BUILD)/pixelvault.spdx.json $(DESTDIR)$(PREFIX)/share/doc/pixelvault/pixelvault.spdx.json
	@mkdir -p $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions \
	          $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	$(BUILD)/vault completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/pixelvault
	$(BUILD)/vault completion zsh >$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_pixelvault
	$(BUILD)/vault completion fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/pixelvault.fish
	@mkdir -p $(LIBD)/systemd/system
	@for unit in $(UNITS); do \
	   sed 's|@BIN@|$(PREFIX)/bin|g' packaging/systemd/$$unit >$(LIBD)/systemd/system/$$unit && \
	   chmod 644 $(LIBD)/systemd/system/$$unit || exit 1; \
	 done
	install -D -m 644 packaging/systemd/pixelvault.sysusers $(LIBD)/sysusers.d/pixelvault.conf
	install -D -m 644 packaging/systemd/pixelvault.tmpfiles $(LIBD)/tmpfiles.d/pixelvault.conf
	@sh packaging/link-vault.sh "$(BIN)" "$(LINK_VAULT)"
uninstall:
	rm -f $(addprefix $(LIBD)/systemd/system/,$(UNITS)) $(LIBD)/sysusers.d/pixelvault.conf $(LIBD)/tmpfiles.d/pixelvault.conf
	rm -f $(BIN)/pixelvault $(BIN)/pixelvault-agent $(LIBD)/pixelvault/pixelvault-whole
	@if [ "$$(readlink $(BIN)/vault)" = pixelvault ]; then rm -f $(BIN)/vault; fi
	rm -f $(DESTDIR)$(PREFIX)/share/man/man1/pixelvault.1 $(DESTDIR)$(PREFIX)/share/man/man8/pixelvault-agent.8 \
	      $(DESTDIR)$(PREFIX)/share/man/man5/pixelvault.ini.5 $(DESTDIR)$(PREFIX)/share/doc/pixelvault/pixelvault.ini \
	      $(DESTDIR)$(PREFIX)/share/doc/pixelvault/pixelvault.spdx.json \
	      $(DESTDIR)$(PREFIX)/share/bash-completion/completions/pixelvault \
	      $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_pixelvault \
	      $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/pixelvault.fish
	@for folder in $(DESTDIR)$(PREFIX)/share/doc/pixelvault $(LIBD)/pixelvault; do rmdir $$folder 2>/dev/null || true; done

clean:
	rm -rf build build-*

.PHONY: all deps demo screenshot test test-programs e2e-programs check-san valgrind power-loss crash hygiene tamper \
        concurrency faults reproducible sbom sabotage layers lint bench soak install uninstall clean fuzz fuzz-programs \
        fuzz-long fuzz-planted fuzz-grow fuzz-coverage coverage afl bench-peers bench-chart crash-all
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
