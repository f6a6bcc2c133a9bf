# What a contributor needs: make demo, make test, make lint.

CARGO ?= cargo
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
# Demo and tests share one profile, so that nothing is compiled twice.
BUILT = $(TARGET_DIR)/debug
SNAPFIM = $(BUILT)/snapfim
DEMO = $(TARGET_DIR)/demo
PREFIX ?= /usr/local

.PHONY: help demo test lint bench fixtures install man completions

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## /\1	/p' Makefile | expand -t 14

# Prints a command as a user would type it, runs it, and takes the exit codes of a complete scan.
define run
	@printf '\n$$ snapfim $(1)\n'
	@cd $(DEMO) && { "$(abspath $(SNAPFIM))" $(1); code=$$?; \
	  case $$code in 0) ;; 1) echo "(exit code 1: there are changes)" ;; *) exit $$code ;; esac; }
endef

demo: ## build, scan two nights of a machine, print what changed
	$(CARGO) build --profile test --bin snapfim --example unpack
	@rm -rf $(DEMO) && mkdir -p $(DEMO) && cp examples/policy.toml $(DEMO)
	@$(BUILT)/examples/unpack fixtures/machine/day0.raw.zst $(DEMO)/web01-2025-11-20.raw 2025-11-20T19:00:00Z
	@$(BUILT)/examples/unpack fixtures/machine/day1.raw.zst $(DEMO)/web01-2025-11-21.raw 2025-11-21T19:00:00Z
	$(call run,inspect web01-2025-11-21.raw)
	$(call run,scan web01-2025-11-20.raw --state state --policy policy.toml)
	$(call run,scan web01-2025-11-21.raw --state state --policy policy.toml)
	$(call run,log --state state --severity high --path '/etc/**')
	$(call run,history /usr/bin/passwd --state state)
	@printf '\nThe images and the state (manifests, change log, proofs of scans) lie in $(DEMO)\n'

test: ## all tests; those over public test data need SNAPFIM_DATA=DIR
	$(CARGO) test

lint: ## format, clippy, documentation, all warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps

bench: ## all benchmarks, optimised
	$(CARGO) bench

fixtures: ## remake the images and oracle tables of the tests; each recipe says which tools it needs
	@set -e; for recipe in fixtures/*/make.sh; do echo "$$recipe"; "./$$recipe"; done

install: ## build optimised, install program, manual pages and completions below PREFIX (/usr/local)
	$(CARGO) install --path . --locked --root $(DESTDIR)$(PREFIX) --no-track
	$(MAKE) SNAPFIM=$(DESTDIR)$(PREFIX)/bin/snapfim OUT=$(DESTDIR)$(PREFIX)/share/man/man1 man
	$(MAKE) SNAPFIM=$(DESTDIR)$(PREFIX)/bin/snapfim OUT=$(DESTDIR)$(PREFIX)/share completions

OUT ?= $(TARGET_DIR)/extra

$(BUILT)/snapfim:
	$(CARGO) build --profile test --bin snapfim

man: $(SNAPFIM) ## write the manual pages of the program and its verbs to OUT (target/extra)
	$(SNAPFIM) man --dir $(OUT)

completions: $(SNAPFIM) ## write shell completions to OUT (target/extra)
	@mkdir -p $(OUT)/bash-completion/completions $(OUT)/zsh/site-functions $(OUT)/fish/vendor_completions.d
	$(SNAPFIM) completions bash > $(OUT)/bash-completion/completions/snapfim
	$(SNAPFIM) completions zsh > $(OUT)/zsh/site-functions/_snapfim
	$(SNAPFIM) completions fish > $(OUT)/fish/vendor_completions.d/snapfim.fish
